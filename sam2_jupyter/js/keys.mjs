// Which key does what. Keys are places on the keyboard (KeyboardEvent.code), so that they are the same in any layout;
// "Mod" is Ctrl, or Cmd on a Mac.

export const DEFAULT_KEYS = [
  ["segment", "S", "segment: answer the prompts again"],
  ["accept", "K", "accept: lock the object's mask on this frame; again: let it go"],
  ["clear", "Shift+C", "clear what was said of the object on this frame"],
  ["sign", "T", "switch between object and background"],
  ["new_object", "C", "done: the next prompt makes a new object"],
  ["propagate", "Shift+S", "propagate the chosen object through the stack"],
  ["propagate_all", "Shift+A", "propagate all objects"],
  ["everything", "Shift+E", "segment everything on this frame"],
  ["train", "Shift+T", "fine-tune the model on the masks"],
  ["carry", "Shift+V", "carry the chosen object's volume to other times"],
  ["next_review", "R", "go to the next doubtful mask"],
  ["accept_review", "A", "accept the doubtful mask, and go to the next one"],
  ["compare", "Shift+R", "second opinion: track all objects in another way too, and note what differs"],
  ["divide", "D", "the object divides here"],
  ["delete_object", "Delete", "delete the object"],
  ["undo", "Mod+Z", "undo"],
  ["redo", "Mod+Shift+Z", "redo"],
  ["redo", "Mod+Y", "redo"],
  ["cancel", "Escape", "stop drawing; else cancel what runs; else leave the widget"],
  ["frame_next", "ArrowRight", "next frame"],
  ["frame_back", "ArrowLeft", "frame before"],
  ["frame_next_10", "Shift+ArrowRight", "10 frames on"],
  ["frame_back_10", "Shift+ArrowLeft", "10 frames back"],
  ["frame_first", "Home", "first frame"],
  ["frame_last", "End", "last frame"],
  ["position_next", "PageUp", "next position on the other axis"],
  ["position_back", "PageDown", "position before on the other axis"],
  ["object_next", "N", "next object"],
  ["object_next", "ArrowDown", "next object"],
  ["object_back", "Shift+N", "object before"],
  ["object_back", "ArrowUp", "object before"],
  ["masks", "V", "show or hide masks"],
  ["zoom_in", "Equal", "zoom in"],
  ["zoom_out", "Minus", "zoom out"],
  ["fit", "F", "show the whole image"],
  ["brush_larger", "BracketRight", "larger brush"],
  ["brush_smaller", "BracketLeft", "smaller brush"],
  ["cursor_left", "Alt+ArrowLeft", "move the cross (with Shift by 10 pixels)"],
  ["cursor_right", "Alt+ArrowRight", "move the cross"],
  ["cursor_up", "Alt+ArrowUp", "move the cross"],
  ["cursor_down", "Alt+ArrowDown", "move the cross"],
  ["cursor_left_10", "Alt+Shift+ArrowLeft", ""],
  ["cursor_right_10", "Alt+Shift+ArrowRight", ""],
  ["cursor_up_10", "Alt+Shift+ArrowUp", ""],
  ["cursor_down_10", "Alt+Shift+ArrowDown", ""],
  ["draw", "Space", "draw at the cross: click, corner, begin or end of a line"],
  ["finish", "Enter", "close the polygon; use a tool that needs no drawing"],
  ["back", "Backspace", "take the last corner back"],
  ["save", "Mod+S", "save the labels"],
  ["help", "Shift+Slash", "this list (?)"],
];
const NAMED = { Slash: "/", Equal: "+", Minus: "−", BracketLeft: "[", BracketRight: "]", Escape: "Esc",
  ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };

/** "Mod+Shift+Z" as {mod, shift, alt, code}. */
export function parseKey(text) {
  const parts = text.split("+");
  const last = parts.pop();
  const code = /^[A-Za-z]$/.test(last) ? `Key${last.toUpperCase()}` : /^[0-9]$/.test(last) ? `Digit${last}` : last;
  const known = new Set(["Mod", "Shift", "Alt"]);
  if (!last || parts.some((part) => !known.has(part))) throw new RangeError(`no key is called ${text}`);
  return { mod: parts.includes("Mod"), shift: parts.includes("Shift"), alt: parts.includes("Alt"), code };
}

/** How a key is written for people. */
export function keyLabel(text) {
  if (text === "Shift+Slash") return "?";
  return text.split("+").map((part) => NAMED[part] ?? (part === "Mod" ? "Ctrl" : part)).join("+");
}

function sameKey(key, event) {
  return (
    key.code === event.code && key.shift === event.shiftKey && key.alt === event.altKey &&
    key.mod === (event.ctrlKey || event.metaKey)
  );
}

/** All bindings: the fixed ones, those of tools where their key is free, and digits, which choose objects. */
export class KeyMap {
  /** @param tools [{name, key, summary}] @param changes {action: key or null} */
  constructor(tools = [], changes = {}) {
    this.rows = DEFAULT_KEYS.filter(([action]) => !(action in changes)).map(([action, key, help]) => ({ action, key, help }));
    for (const [action, key] of Object.entries(changes)) {
      const known = DEFAULT_KEYS.find(([name]) => name === action);
      if (key && (known || action.startsWith("tool:"))) this.rows.unshift({ action, key, help: known?.[2] ?? "" });
    }
    for (const tool of tools) {
      const action = `tool:${tool.name}`;
      if (!tool.key || action in changes) continue;
      const key = tool.key.length === 1 ? tool.key.toUpperCase() : tool.key;
      if (this.rows.some((row) => row.key === key)) continue;
      this.rows.push({ action, key, help: `${tool.name}: ${tool.summary}` });
    }
    this.parsed = this.rows.map((row) => ({ ...parseKey(row.key), action: row.action }));
  }

  /** The action of a keyboard event, "object:N" for digits, or null. */
  action(event) {
    const found = this.parsed.find((key) => sameKey(key, event));
    if (found) return found.action;
    const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code);
    const isPlain = !event.shiftKey && !event.altKey && !event.ctrlKey && !event.metaKey;
    return digit && isPlain ? `object:${digit[1]}` : null;
  }

  /** The key of an action as people read it, or "". */
  label(action) {
    const row = this.rows.find((one) => one.action === action);
    return row ? keyLabel(row.key) : "";
  }

  /** [[key, what it does]] for the help. */
  help() {
    return [...this.rows.filter((row) => row.help).map((row) => [keyLabel(row.key), row.help]), ["1 … 9", "choose an object"]];
  }
}
