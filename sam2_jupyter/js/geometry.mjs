// Where image pixels are on the screen, which tiles are in sight, and shapes made of points.
//
// Image coordinates are (x, y) with pixel centres at whole numbers, as prompts have them: pixel i covers i - 0.5 to
// i + 0.5. A viewport {scale, left, top} says how many screen pixels an image pixel is wide, and which image position
// is at the upper left corner of the canvas.

export const MAX_SCALE = 64;
export const HALF_PIXEL = 0.5;

/** The viewport that shows a whole image in the middle of a canvas. */
export function fitView(image, canvas) {
  const scale = Math.min(canvas.width / image.width, canvas.height / image.height, MAX_SCALE);
  return {
    scale,
    left: image.width / 2 - HALF_PIXEL - canvas.width / 2 / scale,
    top: image.height / 2 - HALF_PIXEL - canvas.height / 2 / scale,
  };
}

export function toImage(view, screen) {
  return { x: screen.x / view.scale + view.left, y: screen.y / view.scale + view.top };
}

export function toScreen(view, point) {
  return { x: (point.x - view.left) * view.scale, y: (point.y - view.top) * view.scale };
}

/** Zoom so that what is under a screen position stays there. */
export function zoomAt(view, factor, screen, image, canvas) {
  const smallest = Math.min(1, fitView(image, canvas).scale) / 4;
  const scale = Math.min(MAX_SCALE, Math.max(smallest, view.scale * factor));
  const at = toImage(view, screen);
  return { scale, left: at.x - screen.x / scale, top: at.y - screen.y / scale };
}

/** Move the image by screen pixels. */
export function panBy(view, dx, dy) {
  return { ...view, left: view.left - dx / view.scale, top: view.top - dy / view.scale };
}

/** Keep at least a part of the image in sight. */
export function keepInSight(view, image, canvas, margin = 32) {
  const across = canvas.width / view.scale;
  const down = canvas.height / view.scale;
  const edge = margin / view.scale;
  return {
    ...view,
    left: clamp(view.left, edge - across, image.width - edge),
    top: clamp(view.top, edge - down, image.height - edge),
  };
}

/** Which level (each half as wide as the one before) has about one pixel for each screen pixel, and never fewer. */
export function levelFor(scale, devicePixels, levelCount) {
  const level = Math.floor(Math.log2(1 / (scale * devicePixels)) + 1e-9);
  return clamp(level, 0, levelCount - 1);
}

/** The tiles of a level that are in sight, those in the middle first: [{level, column, row}]. */
export function visibleTiles(view, canvas, image, level, tileSize) {
  const step = tileSize * 2 ** level;
  const first = toImage(view, { x: 0, y: 0 });
  const last = toImage(view, { x: canvas.width, y: canvas.height });
  const columns = Math.ceil(image.width / step);
  const rows = Math.ceil(image.height / step);
  const from = (value) => Math.max(0, Math.floor((value + HALF_PIXEL) / step));
  const tiles = [];
  for (let row = from(first.y); row < rows && row * step < last.y + HALF_PIXEL; row++) {
    for (let column = from(first.x); column < columns && column * step < last.x + HALF_PIXEL; column++) {
      tiles.push({ level, column, row });
    }
  }
  const middle = { x: (first.x + last.x) / 2 / step - 0.5, y: (first.y + last.y) / 2 / step - 0.5 };
  const distance = (tile) => Math.hypot(tile.column - middle.x, tile.row - middle.y);
  return tiles.sort((a, b) => distance(a) - distance(b));
}

export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** The nearest point whose pixel is in the image. */
export function intoImage(point, image) {
  return { x: clamp(point.x, 0, image.width - 1), y: clamp(point.y, 0, image.height - 1) };
}

export function isInside(point, image) {
  return (
    point.x >= -HALF_PIXEL &&
    point.y >= -HALF_PIXEL &&
    point.x < image.width - HALF_PIXEL &&
    point.y < image.height - HALF_PIXEL
  );
}

/** Leave out points of a line that lie within `tolerance` of the line without them (Douglas and Peucker, 1973). */
export function simplify(points, tolerance) {
  const keep = new Uint8Array(points.length);
  keep[0] = keep[points.length - 1] = 1;
  const todo = [[0, points.length - 1]];
  while (todo.length) {
    const [first, last] = todo.pop();
    let farthest = -1;
    let most = tolerance;
    for (let i = first + 1; i < last; i++) {
      const off = distanceToSegment(points[i], points[first], points[last]);
      if (off > most) [farthest, most] = [i, off];
    }
    if (farthest > 0) {
      keep[farthest] = 1;
      todo.push([first, farthest], [farthest, last]);
    }
  }
  return points.filter((_, i) => keep[i]);
}

function distanceToSegment(point, a, b) {
  const along = { x: b.x - a.x, y: b.y - a.y };
  const length = along.x ** 2 + along.y ** 2;
  const share = length ? clamp(((point.x - a.x) * along.x + (point.y - a.y) * along.y) / length, 0, 1) : 0;
  return Math.hypot(point.x - a.x - share * along.x, point.y - a.y - share * along.y);
}

/** Index of the nearest point within a distance, or -1. */
export function nearest(points, at, within) {
  let found = -1;
  let best = within;
  points.forEach((point, i) => {
    const distance = Math.hypot(point.x - at.x, point.y - at.y);
    if (distance <= best) [found, best] = [i, distance];
  });
  return found;
}
