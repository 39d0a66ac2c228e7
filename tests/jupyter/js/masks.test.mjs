import assert from "node:assert/strict";
import { test } from "node:test";
import { areaOf, bytesOf, colourMask, covers, decodeBits, decodeMask, decodeRuns, MaskBook, outline } from "../../../sam2_jupyter/js/masks.mjs";

const runs = (...lengths) => new Uint8Array(new Uint32Array(lengths).buffer);

test("runs begin with pixels that are not set", () => {
  assert.deepEqual([...decodeRuns(runs(2, 3, 1), 6)], [0, 0, 1, 1, 1, 0]);
  assert.deepEqual([...decodeRuns(runs(0, 2), 2)], [1, 1]);
});

test("runs and bits that do not fit the box are refused", () => {
  assert.throws(() => decodeRuns(runs(2, 3), 6), RangeError);
  assert.throws(() => decodeBits(new Uint8Array(2), 6), RangeError);
  assert.throws(() => decodeMask({ box: [0, 0, 1, 1], packing: "png", offset: 0, length: 1 }, new Uint8Array(1)), RangeError);
});

test("the first pixel is in the highest bit", () => {
  assert.deepEqual([...decodeBits(new Uint8Array([0b10100000, 0b01000000]), 10)], [1, 0, 1, 0, 0, 0, 0, 0, 0, 1]);
});

test("a buffer that is a part of a larger one is read where it begins", () => {
  const whole = new Uint8Array([9, 9, 1, 2, 3]);
  assert.deepEqual([...bytesOf(new DataView(whole.buffer, 2, 3))], [1, 2, 3]);
});

test("a mask knows its pixels, its area and its outline", () => {
  const entry = { box: [10, 20, 13, 23], packing: "runs", offset: 4, length: 8 };
  const mask = decodeMask(entry, new Uint8Array([0, 0, 0, 0, ...runs(0, 9)]));
  assert.equal(areaOf(mask), 9);
  assert.ok(covers(mask, { x: 10.4, y: 22 }));
  assert.ok(!covers(mask, { x: 13, y: 22 }));
  assert.deepEqual([...outline(mask)], [1, 1, 1, 1, 0, 1, 1, 1, 1]);
  const rgba = colourMask(mask, "#ff8000");
  assert.deepEqual([...rgba.slice(0, 4)], [255, 128, 0, 255]);
  assert.ok(rgba[4 * 4 + 3] < 255);
});

const answer = (seq, masks, { frame = 3, objects = null } = {}) => ({ frame, seq, objects, masks });
const square = (object, length = 8) => ({ object, box: [0, 0, 3, 3], packing: "runs", offset: 0, length, record: {} });
const FULL = [runs(0, 9)];

test("an answer that is older than what is known is dropped", () => {
  const book = new MaskBook();
  book.take(answer(5, [square(1)], { objects: [1] }), FULL);
  assert.deepEqual(book.take(answer(4, [square(1, 0)], { objects: [1] }), FULL), []);
  assert.equal(book.masks(3).size, 1);
  assert.deepEqual(book.take(answer(6, [square(1, 0)], { objects: [1] }), FULL), [1]);
  assert.equal(book.masks(3).size, 0);
});

test("an answer about all objects takes away those that are gone, but not those found since", () => {
  const book = new MaskBook();
  book.take(answer(1, [square(1), square(2)]), FULL);
  book.take(answer(7, [square(3)], { objects: [3] }), FULL);
  book.take(answer(4, [square(1)]), FULL);
  assert.deepEqual([...book.masks(3).keys()].sort(), [1, 3]);
});

test("a frame is current until something there changes", () => {
  const book = new MaskBook();
  assert.ok(!book.isCurrent(3));
  book.take(answer(1, [square(1)]), FULL);
  assert.ok(book.isCurrent(3));
  book.outdate([3], 2);
  assert.ok(!book.isCurrent(3));
  book.take(answer(2, []), FULL);
  assert.ok(book.isCurrent(3));
  book.outdate(null, 3);
  assert.ok(!book.isCurrent(3));
});

test("only the frames seen last are kept", () => {
  const book = new MaskBook(4);
  for (let frame = 0; frame < 10; frame++) book.take(answer(1, [square(1)], { frame }), FULL);
  assert.deepEqual([...book.frames.keys()], [6, 7, 8, 9]);
});
