import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_KEYS, KeyMap, keyLabel, parseKey } from "../../../sam2_jupyter/js/keys.mjs";

const press = (code, { shift = false, ctrl = false, alt = false, meta = false } = {}) =>
  ({ code, shiftKey: shift, ctrlKey: ctrl, altKey: alt, metaKey: meta });
const TOOLS = [
  { name: "point", key: "p", summary: "a click" }, { name: "sneaky", key: "s", summary: "takes S" }, { name: "none", key: null, summary: "" },
];

test("no two actions have the same key", () => {
  const keys = DEFAULT_KEYS.map(([, key]) => key);
  assert.equal(new Set(keys).size, keys.length);
});

test("keys are places on the keyboard, with their modifiers", () => {
  const map = new KeyMap(TOOLS);
  assert.equal(map.action(press("KeyS")), "segment");
  assert.equal(map.action(press("KeyS", { shift: true })), "propagate");
  assert.equal(map.action(press("KeyS", { ctrl: true })), "save");
  assert.equal(map.action(press("KeyZ", { meta: true })), "undo");
  assert.equal(map.action(press("Slash", { shift: true })), "help");
  assert.equal(map.action(press("KeyQ")), null);
  assert.equal(map.action(press("Digit3")), "object:3");
  assert.equal(map.action(press("Digit3", { ctrl: true })), null);
});

test("keys are those of napari for what napari has too", () => {
  const map = new KeyMap(TOOLS);
  const napari = { KeyK: "accept", KeyC: "new_object", KeyN: "object_next", KeyA: "accept_review", KeyR: "next_review", KeyD: "divide", KeyT: "sign" };
  for (const [code, action] of Object.entries(napari)) assert.equal(map.action(press(code)), action);
  assert.equal(map.action(press("KeyN", { shift: true })), "object_back");
});

test("a tool gets its key where that is free", () => {
  const map = new KeyMap(TOOLS);
  assert.equal(map.action(press("KeyP")), "tool:point");
  assert.equal(map.label("tool:point"), "P");
  assert.equal(map.label("tool:sneaky"), "");
});

test("keys can be changed and taken away", () => {
  const map = new KeyMap(TOOLS, { segment: "Shift+G", "tool:sneaky": "S", help: null });
  assert.equal(map.action(press("KeyG", { shift: true })), "segment");
  assert.equal(map.action(press("KeyS")), "tool:sneaky");
  assert.equal(map.action(press("Slash", { shift: true })), null);
  assert.throws(() => parseKey("Hyper+X"), RangeError);
});

test("the help names every key once, as people write it", () => {
  const rows = new KeyMap(TOOLS).help();
  assert.ok(rows.some(([key, what]) => key === "?" && what.includes("list")));
  assert.equal(keyLabel("Mod+Shift+Z"), "Ctrl+Shift+Z");
  assert.equal(new Set(rows.map(([key]) => key)).size, rows.length);
});
