import assert from "node:assert/strict";
import { test } from "node:test";
import { compose, lookUpTable } from "../../../sam2_jupyter/js/pixels.mjs";
import { TileQueue, TileStore } from "../../../sam2_jupyter/js/tiles.mjs";

test("contrast is changed on values that were fetched for other limits", () => {
  const same = lookUpTable([0, 255], [0, 255]);
  assert.deepEqual([same[0], same[100], same[255]], [0, 100, 255]);
  const narrow = lookUpTable([0, 1000], [0, 500]);
  assert.deepEqual([narrow[0], narrow[64], narrow[128], narrow[255]], [0, 128, 255, 255]);
  assert.equal(lookUpTable([0, 1000], [500, 1000])[127], 0);
});

test("one channel is grey, several are red, green and blue, and one of them alone is grey again", () => {
  const plain = lookUpTable([0, 255], [0, 255]);
  assert.deepEqual([...compose(new Uint8Array([7, 9]), 1, [plain], [true])], [7, 7, 7, 255, 9, 9, 9, 255]);
  const two = new Uint8Array([10, 20]);
  assert.deepEqual([...compose(two, 2, [plain, plain], [true, true])], [10, 20, 0, 255]);
  assert.deepEqual([...compose(two, 2, [plain, plain], [false, true])], [20, 20, 20, 255]);
});

test("the store keeps to its budget, and what was used last", () => {
  const gone = [];
  const store = new TileStore(100);
  for (const name of ["a", "b"]) store.put(name, { bytes: 40, release: () => gone.push(name) });
  store.get("a");
  store.put("c", { bytes: 40, release: () => gone.push("c") });
  assert.deepEqual(gone, ["b"]);
  assert.equal(store.bytes, 80);
  store.put("huge", { bytes: 500 });
  assert.ok(store.peek("huge"));
  store.clear();
  assert.equal(store.bytes, 0);
});

test("what is no longer wanted is given up, and the rest goes on, a few at a time", async () => {
  const begun = [];
  const queue = new TileQueue(
    (item, signal) => new Promise((resolve, reject) => {
      begun.push(item.key);
      signal.addEventListener("abort", () => reject(new Error("given up")));
      item.done = resolve;
    }), 2);
  const items = ["a", "b", "c", "d"].map((key) => ({ key }));
  queue.want(items);
  assert.deepEqual(begun, ["a", "b"]);
  queue.want([items[1], items[3]]);
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(begun, ["a", "b", "d"]);
  items[1].done();
  items[3].done();
  await new Promise((resolve) => setTimeout(resolve));
  assert.ok(queue.isIdle);
});
