import assert from "node:assert/strict";
import { test } from "node:test";
import {
  fitView, intoImage, isInside, keepInSight, levelFor, nearest, panBy, simplify, toImage, toScreen, visibleTiles, zoomAt,
} from "../../../sam2_jupyter/js/geometry.mjs";

const IMAGE = { width: 4000, height: 3000 };
const CANVAS = { width: 800, height: 500 };

test("the whole image is in the middle of the canvas", () => {
  const view = fitView(IMAGE, CANVAS);
  const first = toScreen(view, { x: -0.5, y: -0.5 });
  const last = toScreen(view, { x: 3999.5, y: 2999.5 });
  assert.equal(Math.round(first.y), 0);
  assert.equal(Math.round(last.y), 500);
  assert.ok(Math.abs(first.x - (800 - last.x)) < 1e-9);
});

test("to the screen and back is the same place", () => {
  const view = { scale: 3.7, left: 12.25, top: -4.5 };
  const back = toImage(view, toScreen(view, { x: 33.3, y: 0.1 }));
  assert.ok(Math.hypot(back.x - 33.3, back.y - 0.1) < 1e-9);
});

test("what is under the pointer stays there while zooming, until the limits", () => {
  const at = { x: 123, y: 321 };
  let view = fitView(IMAGE, CANVAS);
  const before = toImage(view, at);
  for (let i = 0; i < 60; i++) view = zoomAt(view, 1.3, at, IMAGE, CANVAS);
  assert.equal(view.scale, 64);
  const after = toImage(view, at);
  assert.ok(Math.hypot(after.x - before.x, after.y - before.y) < 1e-6);
});

test("panning never loses the image", () => {
  const view = keepInSight(panBy(fitView(IMAGE, CANVAS), 1e6, -1e6), IMAGE, CANVAS);
  const first = toScreen(view, { x: 0, y: 0 });
  assert.ok(first.x < CANVAS.width && first.x > -IMAGE.width * view.scale);
  assert.ok(toScreen(view, { x: 0, y: IMAGE.height }).y > 0);
});

test("a level has at least a pixel for each screen pixel", () => {
  assert.equal(levelFor(1, 1, 4), 0);
  assert.equal(levelFor(0.5, 1, 4), 1);
  assert.equal(levelFor(0.5, 2, 4), 0);
  assert.equal(levelFor(0.26, 1, 4), 1);
  assert.equal(levelFor(0.001, 1, 4), 3);
  assert.equal(levelFor(16, 1, 4), 0);
});

test("tiles in sight cover the canvas and no more", () => {
  const view = { scale: 1, left: 500, top: 700 };
  const tiles = visibleTiles(view, CANVAS, IMAGE, 0, 512);
  assert.deepEqual(tiles.map((t) => `${t.column}/${t.row}`).sort(), ["0/1", "0/2", "1/1", "1/2", "2/1", "2/2"]);
  assert.equal(visibleTiles({ scale: 1, left: 9000, top: 0 }, CANVAS, IMAGE, 0, 512).length, 0);
  // never more than a screenful and its edges, however large the image
  const whole = fitView({ width: 1e5, height: 1e5 }, CANVAS);
  assert.ok(visibleTiles(whole, CANVAS, { width: 1e5, height: 1e5 }, levelFor(whole.scale, 1, 9), 512).length <= 9);
});

test("points are brought into the image", () => {
  assert.deepEqual(intoImage({ x: -0.4, y: 2999.4 }, IMAGE), { x: 0, y: 2999 });
  assert.ok(isInside({ x: -0.5, y: 0 }, IMAGE));
  assert.ok(!isInside({ x: 3999.5, y: 0 }, IMAGE));
});

test("a line is simplified within the tolerance, its ends kept", () => {
  const points = Array.from({ length: 400 }, (_, i) => ({ x: i, y: 40 * Math.sin(i / 30) }));
  const few = simplify(points, 0.5);
  assert.ok(few.length < 60);
  assert.deepEqual([few[0], few.at(-1)], [points[0], points.at(-1)]);
  assert.deepEqual(simplify([{ x: 1, y: 1 }], 1), [{ x: 1, y: 1 }]);
  for (const point of points) {
    const next = few.findIndex((one) => one.x >= point.x);
    const [a, b] = [few[Math.max(0, next - 1)], few[next]];
    const y = a.x === b.x ? a.y : a.y + ((point.x - a.x) / (b.x - a.x)) * (b.y - a.y);
    assert.ok(Math.abs(y - point.y) < 1.2);
  }
});

test("the nearest point is found within reach only", () => {
  const points = [{ x: 0, y: 0 }, { x: 5, y: 0 }];
  assert.equal(nearest(points, { x: 3, y: 0 }, 2), 1);
  assert.equal(nearest(points, { x: 3, y: 3 }, 2), -1);
});
