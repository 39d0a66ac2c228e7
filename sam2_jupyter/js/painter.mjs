// Draws what is known on a canvas: tiles of the image, masks over them, prompts and the drawing in the making.

import { toScreen, visibleTiles, HALF_PIXEL } from "./geometry.mjs";
import { compose, lookUpTable } from "./pixels.mjs";
import { colourMask } from "./masks.mjs";

const POSITIVE = "#2bd46b";
const NEGATIVE = "#ff5a4d";

export class Painter {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.ratio = 1;
    this.size = { width: 1, height: 1 };
    this.maskPictures = new WeakMap();
  }

  /** Give the canvas a size in CSS pixels; true if that is another one than before. */
  resize(width, height, ratio) {
    if (width === this.size.width && height === this.size.height && ratio === this.ratio) return false;
    this.size = { width, height };
    this.ratio = ratio;
    this.canvas.width = Math.max(1, Math.round(width * ratio));
    this.canvas.height = Math.max(1, Math.round(height * ratio));
    return true;
  }

  /** Draw everything. `scene` says what: see AnnotationView.scene. */
  paint(scene) {
    const { context, ratio } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = scene.background;
    context.fillRect(0, 0, this.size.width, this.size.height);
    if (!scene.image) return;
    context.imageSmoothingEnabled = false;
    for (const tile of scene.tiles) this._tile(scene, tile);
    if (scene.showMasks) {
      context.globalAlpha = scene.opacity;
      for (const { mask, colour } of scene.masks) this._mask(scene.view, mask, colour);
      context.globalAlpha = 1;
    }
    for (const prompt of scene.prompts) this._prompt(scene.view, prompt);
    for (const entry of scene.pending) this._drawing(scene.view, entry.drawing, scene.brushRadius, 0.6);
    if (scene.gesture) this._gesture(scene.view, scene.gesture, scene.brushRadius);
    if (scene.cross) this._cross(scene.view, scene.cross);
  }

  _tile(scene, tile) {
    const factor = 2 ** tile.level;
    const at = toScreen(scene.view, {
      x: tile.column * scene.tileSize * factor - HALF_PIXEL, y: tile.row * scene.tileSize * factor - HALF_PIXEL,
    });
    const scale = factor * scene.view.scale;
    // edges on whole device pixels, so that there are no seams between tiles
    const snap = (value) => Math.round(value * this.ratio) / this.ratio;
    const [left, top] = [snap(at.x), snap(at.y)];
    const [right, bottom] = [snap(at.x + tile.width * scale), snap(at.y + tile.height * scale)];
    this.context.drawImage(tilePicture(tile, scene.limits, scene.shownChannels), left, top, right - left, bottom - top);
  }

  _mask(view, mask, colour) {
    if (!mask.width || !mask.height) return;
    const at = toScreen(view, { x: mask.x - HALF_PIXEL, y: mask.y - HALF_PIXEL });
    const { width, height } = mask;
    this.context.drawImage(this._maskPicture(mask, colour), at.x, at.y, width * view.scale, height * view.scale);
  }

  _maskPicture(mask, colour) {
    const known = this.maskPictures.get(mask);
    if (known?.colour === colour) return known.picture;
    const picture = new OffscreenCanvas(mask.width, mask.height);
    picture.getContext("2d").putImageData(new ImageData(colourMask(mask, colour), mask.width, mask.height), 0, 0);
    this.maskPictures.set(mask, { colour, picture });
    return picture;
  }

  _prompt(view, { points = [], labels = [], box, selected }) {
    const { context } = this;
    context.globalAlpha = selected ? 1 : 0.45;
    if (box) this._rectangle(view, { x: box[0], y: box[1] }, { x: box[2], y: box[3] }, POSITIVE, []);
    points.forEach(([x, y], i) => this._point(view, { x, y }, labels[i] === 1));
    context.globalAlpha = 1;
  }

  _point(view, point, positive) {
    const { context } = this;
    const { x, y } = toScreen(view, point);
    context.beginPath();
    context.arc(x, y, 6, 0, 2 * Math.PI);
    context.fillStyle = positive ? POSITIVE : NEGATIVE;
    context.fill();
    context.lineWidth = 1.5;
    context.strokeStyle = "#ffffff";
    context.stroke();
    // a sign, for those who cannot tell the colours apart
    context.beginPath();
    context.moveTo(x - 3, y);
    context.lineTo(x + 3, y);
    if (positive) {
      context.moveTo(x, y - 3);
      context.lineTo(x, y + 3);
    }
    context.strokeStyle = "#000000";
    context.stroke();
  }

  _rectangle(view, a, b, colour, dash) {
    const { context } = this;
    const from = toScreen(view, a);
    const to = toScreen(view, b);
    context.lineWidth = 2;
    context.setLineDash(dash);
    context.strokeStyle = colour;
    context.strokeRect(Math.min(from.x, to.x), Math.min(from.y, to.y), Math.abs(to.x - from.x), Math.abs(to.y - from.y));
    context.setLineDash([]);
  }

  _line(view, points, colour, width, closed = false) {
    if (!points.length) return;
    const { context } = this;
    context.beginPath();
    points.forEach((point, i) => {
      const at = toScreen(view, point);
      if (i) context.lineTo(at.x, at.y);
      else context.moveTo(at.x, at.y);
    });
    if (points.length === 1) {
      const at = toScreen(view, points[0]);
      context.lineTo(at.x + 0.01, at.y);
    }
    if (closed) context.closePath();
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.stroke();
  }

  _gesture(view, gesture, brushRadius) {
    const { kind, points, cursor, positive } = gesture;
    const open = kind === "box" || kind === "polygon" ? [...points, cursor].filter(Boolean) : points;
    this._drawing(view, { gesture: kind, positive, points: open, isOpen: true }, brushRadius, 1);
  }

  _drawing(view, { gesture, positive, points, isOpen = false }, brushRadius, alpha) {
    const { context } = this;
    const colour = positive ? POSITIVE : NEGATIVE;
    context.globalAlpha = alpha;
    if (gesture === "point" && points.length) this._point(view, points[0], positive);
    else if (gesture === "box" && points.length > 1) this._rectangle(view, points[0], points[1], colour, [5, 4]);
    else if (gesture === "path") this._line(view, points, colour, 2);
    else if (gesture === "polygon") this._line(view, points, colour, 2, !isOpen);
    else if (gesture === "brush") {
      context.globalAlpha = alpha * 0.5;
      this._line(view, points, colour, Math.max(1, 2 * brushRadius * view.scale));
    }
    context.globalAlpha = 1;
  }

  _cross(view, point) {
    const { x, y } = toScreen(view, point);
    for (const [colour, width] of [["#000000", 3], ["#ffffff", 1]]) {
      this.context.beginPath();
      this.context.moveTo(x - 12, y);
      this.context.lineTo(x + 12, y);
      this.context.moveTo(x, y - 12);
      this.context.lineTo(x, y + 12);
      this.context.lineWidth = width;
      this.context.strokeStyle = colour;
      this.context.stroke();
    }
  }
}

/** The picture of a tile under some contrast limits, made anew only when these change. */
function tilePicture(tile, limits, shown) {
  const key = JSON.stringify([limits, shown]);
  if (tile.pictureKey === key) return tile.picture;
  const isAsHeld = tile.bitmap && shown.every(Boolean) && JSON.stringify(tile.limits) === JSON.stringify(limits);
  if (isAsHeld) {
    tile.picture = tile.bitmap;
  } else {
    const tables = tile.limits.map((held, channel) => lookUpTable(held, limits[channel] ?? held));
    const picture = new OffscreenCanvas(tile.width, tile.height);
    const rgba = compose(valuesOf(tile), tile.channels, tables, shown);
    picture.getContext("2d").putImageData(new ImageData(rgba, tile.width, tile.height), 0, 0);
    tile.picture = picture;
  }
  tile.pictureKey = key;
  return tile.picture;
}

/** The channels' values of a tile; those of one that came as a picture are read from it when they are needed. */
function valuesOf(tile) {
  if (tile.values) return tile.values;
  const canvas = new OffscreenCanvas(tile.width, tile.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(tile.bitmap, 0, 0);
  const rgba = context.getImageData(0, 0, tile.width, tile.height).data;
  const values = new Uint8Array(tile.width * tile.height * tile.channels);
  for (let i = 0; i < tile.width * tile.height; i++) {
    for (let channel = 0; channel < tile.channels; channel++) values[i * tile.channels + channel] = rgba[4 * i + channel];
  }
  tile.values = values;
  return values;
}

/** Of the tiles that are at hand those to draw, coarse ones first. */
export function tilesToDraw(store, frame, view, canvas, image, tileSize) {
  const found = [...store.tiles.values()].filter((tile) => tile.frame === frame);
  const levels = [...new Set(found.map((tile) => tile.level))].sort((a, b) => b - a);
  return levels.flatMap((level) => {
    const inSight = new Set(visibleTiles(view, canvas, image, level, tileSize).map((t) => `${t.column}/${t.row}`));
    return found.filter((tile) => tile.level === level && inSight.has(`${tile.column}/${tile.row}`));
  });
}
