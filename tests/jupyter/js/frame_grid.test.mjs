import assert from "node:assert/strict";
import { test } from "node:test";
import { frameAt, frameInWords, movedTo, placesOf } from "../../../sam2_jupyter/js/frame_grid.mjs";

const GRID = [{ axis: "t", length: 3 }, { axis: "z", length: 5 }];
const LINE = [{ axis: "z", length: 8 }];

test("frames along two axes are numbered with the second running fastest", () => {
  for (let frame = 0; frame < 15; frame++) {
    const places = placesOf(frame, GRID);
    assert.deepEqual(places, [Math.floor(frame / 5), frame % 5]);
    assert.equal(frameAt(places, GRID), frame);
  }
  assert.deepEqual(placesOf(7, LINE), [7]);
});

test("moving along one axis leaves the other, and ends at the ends", () => {
  assert.equal(movedTo(7, GRID, 0, 2), 12);
  assert.equal(movedTo(7, GRID, 1, 9), 9);
  assert.equal(movedTo(7, GRID, 1, -Infinity), 5);
  assert.equal(movedTo(7, GRID, 0, Infinity), 12);
  assert.equal(movedTo(3, LINE, 0, 4.4), 4);
});

test("a frame is named by its place on each axis", () => {
  assert.equal(frameInWords(7, GRID), "t 1, z 2");
  assert.equal(frameInWords(7, LINE), "z 7");
});
