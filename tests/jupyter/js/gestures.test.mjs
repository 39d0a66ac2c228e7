import assert from "node:assert/strict";
import { test } from "node:test";
import { Gesture } from "../../../sam2_jupyter/js/gestures.mjs";
import { GestureHistory } from "../../../sam2_jupyter/js/history.mjs";

const at = (x, y) => ({ x, y });

test("a click is where it was pressed, even if the hand trembled", () => {
  const gesture = new Gesture("point", { positive: false, slack: 2 });
  gesture.down(at(5, 6));
  gesture.move(at(6, 6));
  assert.deepEqual(gesture.up(at(6, 6)), { gesture: "point", positive: false, points: [at(5, 6)] });
});

test("a box is dragged, or given by two clicks", () => {
  const dragged = new Gesture("box", { slack: 2 });
  dragged.down(at(10, 10));
  dragged.move(at(20, 15));
  assert.deepEqual(dragged.up(at(30, 20)).points, [at(10, 10), at(30, 20)]);
  const clicked = new Gesture("box", { slack: 2 });
  clicked.down(at(10, 10));
  assert.equal(clicked.up(at(11, 10)), null);
  clicked.move(at(28, 19));
  clicked.down(at(30, 20));
  assert.deepEqual(clicked.up(at(30, 20)).points, [at(10, 10), at(30, 20)]);
});

test("a line is all that the pointer passed", () => {
  for (const kind of ["path", "brush"]) {
    const gesture = new Gesture(kind);
    gesture.move(at(0, 0));
    gesture.down(at(1, 1));
    gesture.move(at(2, 2));
    gesture.move(at(2, 2));
    assert.deepEqual(gesture.up(at(3, 3)).points, [at(1, 1), at(2, 2), at(3, 3)]);
  }
});

test("a polygon is closed at its first corner or by a key, and corners can be taken back", () => {
  const gesture = new Gesture("polygon", { slack: 2 });
  for (const [x, y] of [[0, 0], [10, 0], [10, 10]]) {
    gesture.down(at(x, y));
    assert.equal(gesture.up(at(x, y)), null);
  }
  assert.ok(gesture.back());
  assert.equal(gesture.finish(), null);
  gesture.down(at(10, 9));
  gesture.up(at(10, 9));
  assert.deepEqual(gesture.down(at(1, 1)).points, [at(0, 0), at(10, 0), at(10, 9)]);
});

test("there is nothing left after the last corner was taken back", () => {
  const gesture = new Gesture("polygon");
  gesture.down(at(0, 0));
  assert.ok(!gesture.back());
  assert.ok(gesture.isEmpty);
});

test("a gesture that nobody knows is refused", () => {
  assert.throws(() => new Gesture("spiral"), RangeError);
});

test("a drawing is shown until the prompts of its frame came, or it was refused", () => {
  const history = new GestureHistory();
  const first = history.add(3, 1, { gesture: "point" });
  const second = history.add(3, 1, { gesture: "box" });
  history.settle(3);
  assert.equal(history.pending(3).length, 2);
  history.accept(first, [1]);
  history.settle(3);
  assert.deepEqual(history.pending(3).map((entry) => entry.id), [second]);
  history.refuse(second);
  assert.deepEqual(history.pending(3), []);
});
