// Made by scripts/bundle_notebook_view.py from sam2_jupyter/js; change it there.

const module_protocol = (() => {
// Requests to Python and their answers: numbered, cancellable, and with a word for a kernel that does not answer.
//
// A request is {v, view, id, kind, payload}. Answers carry the same view and id and a type: "ok", "error", "progress" or
// "cancelled". What happens without being asked for comes as {v, type: "event", kind, seq, payload}.

const PROTOCOL_VERSION = 1;
const PATIENCE_MS = 4000;
/** A web socket of a notebook server takes about 10 MB; nothing that a person draws comes near this. */
const MAX_REQUEST_CHARACTERS = 1_000_000;

class RequestError extends Error {
  constructor(kind, message, details = "") {
    super(message);
    this.name = kind;
    this.details = details;
  }
}

class Client {
  /**
   * @param send called with a message that can be written as JSON
   * @param options view: name of this view; onEvent(kind, payload, buffers, seq); onLink("ok" | "waiting" | "gone");
   *   patience in milliseconds
   */
  constructor(send, { view, onEvent = () => {}, onLink = () => {}, patience = PATIENCE_MS } = {}) {
    this.sendMessage = send;
    this.view = view;
    this.onEvent = onEvent;
    this.onLink = onLink;
    this.patience = patience;
    this.link = "ok";
    this.nextId = 1;
    this.open = new Map();
    this.timer = null;
    this.isDoomed = false;
  }

  get isBusy() {
    return this.open.size > 0;
  }

  /** Ask for something; resolves with {payload, buffers}, rejects with a RequestError. */
  request(kind, payload = {}, { signal, onProgress } = {}) {
    const id = this.nextId++;
    const message = { v: PROTOCOL_VERSION, view: this.view, id, kind, payload };
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(new RequestError("Cancelled", "given up before it was sent"));
        return;
      }
      const size = JSON.stringify(message).length;
      if (size > MAX_REQUEST_CHARACTERS) {
        reject(new RequestError("TooLarge", `This is too much to send at once (${size} characters); draw less in one go.`));
        return;
      }
      this.open.set(id, { resolve, reject, onProgress });
      signal?.addEventListener("abort", () => this.cancel(id), { once: true });
      this._send(message);
      this._watch();
    });
  }

  /** Give a request up; Python is told, so that work that has not begun is left out. */
  cancel(id) {
    const entry = this.open.get(id);
    if (!entry) return;
    this.open.delete(id);
    entry.reject(new RequestError("Cancelled", "given up"));
    this._send({ v: PROTOCOL_VERSION, view: this.view, id, kind: "cancel", payload: {} });
  }

  /** Take a message from Python in. */
  receive(message, buffers = []) {
    if (typeof message !== "object" || message === null || !("v" in message)) return;
    if (message.v !== PROTOCOL_VERSION) {
      this._fail(new RequestError(
        "VersionError",
        `This view speaks version ${PROTOCOL_VERSION}, the kernel version ${message.v}: reload the page, or run the cell again.`
      ));
      return;
    }
    if (message.type === "event") {
      this._heard();
      this.onEvent(message.kind, message.payload, buffers, message.seq);
      return;
    }
    if (message.view !== this.view) return;
    this._heard();
    const entry = this.open.get(message.id);
    if (!entry) return; // given up meanwhile
    if (message.type === "progress") {
      entry.onProgress?.(message.payload);
      return;
    }
    this.open.delete(message.id);
    if (message.type === "ok") entry.resolve({ payload: message.payload, buffers });
    else if (message.type === "cancelled") entry.reject(new RequestError("Cancelled", "given up"));
    else entry.reject(new RequestError(message.error?.kind ?? "Error", message.error?.message ?? "", message.error?.details));
  }

  /** The connection was cut or made anew: whoever is there has to answer soon. */
  doubt() {
    this.isDoomed = true;
    this.request("hello", {}).catch(() => {});
  }

  close() {
    clearTimeout(this.timer);
    this.timer = null;
    this.open.clear();
    this.sendMessage = () => {};
  }

  _send(message) {
    try {
      this.sendMessage(message);
    } catch {
      this._setLink("gone");
    }
  }

  _watch() {
    if (this.timer !== null) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      if (!this.open.size) return;
      if (this.isDoomed) {
        this._setLink("gone");
        this._fail(new RequestError("KernelGone", "The kernel does not answer."));
      } else {
        this._setLink("waiting");
        this._watch();
      }
    }, this.patience);
  }

  _heard() {
    clearTimeout(this.timer);
    this.timer = null;
    this.isDoomed = false;
    this._setLink("ok");
    queueMicrotask(() => this.open.size && this._watch());
  }

  _fail(error) {
    const open = [...this.open.values()];
    this.open.clear();
    for (const entry of open) entry.reject(error);
  }

  _setLink(link) {
    if (this.link === link) return;
    this.link = link;
    this.onLink(link);
  }
}
return { PROTOCOL_VERSION, PATIENCE_MS, MAX_REQUEST_CHARACTERS, RequestError, Client };
})();

const module_commands = (() => {
// What each action of the keys and buttons does.

/** The actions by name, for a view as it stands. */
function commandsOf(view) {
  const frame = view.store.get("frame");
  const selected = view.store.get("selected");
  const withObject = (act) => () => (selected ? act() : view.say("Choose an object first: click on it in the list."));
  const cursor = (dx, dy) => () => view.drawing.moveCross(dx, dy);
  return {
    segment: withObject(() => view.ask("segment", { object: selected, frame })),
    accept: withObject(() => view.ask("accept", { object: selected, frame, locked: !view.book.masks(frame).get(selected)?.record.locked })),
    clear: withObject(() => view.ask("clear_prompt", { object: selected, frame })),
    divide: withObject(() => view.ask("divide_object", { object: selected })),
    delete_object: withObject(() => view.ask("delete_objects", { objects: [selected] })),
    propagate: withObject(() => view.ask("propagate", { objects: [selected], ...view.panels.propagation() })),
    propagate_all: () => view.ask("propagate", { objects: null, ...view.panels.propagation() }),
    everything: () => view.ask("everything", { frame, options: view.panels.everythingOptions() }),
    train: () => view.panels.training?.start(),
    sign: () => view.store.set({ positive: !view.store.get("positive") }),
    new_object: () => view.store.set({ selected: 0 }),
    carry: withObject(() => view.panels.carrying.start([selected])),
    next_review: () => view.panels.review.next(),
    accept_review: () => view.panels.review.accept(),
    compare: () => view.panels.review.compare(),
    undo: () => view.ask("undo", {}),
    redo: () => view.ask("redo", {}),
    save: () => view.panels.save(),
    cancel: () => view.cancel(),
    frame_next: () => view.go(view.stepped(1)),
    frame_back: () => view.go(view.stepped(-1)),
    frame_next_10: () => view.go(view.stepped(10)),
    frame_back_10: () => view.go(view.stepped(-10)),
    frame_first: () => view.go(view.stepped(-Infinity)),
    frame_last: () => view.go(view.stepped(Infinity)),
    position_next: () => view.panels.stepPosition(1),
    position_back: () => view.panels.stepPosition(-1),
    object_next: () => view.step(1),
    object_back: () => view.step(-1),
    masks: () => {
      view.showMasks = !view.showMasks;
      view.changed();
    },
    zoom_in: () => view.zoom(1.25),
    zoom_out: () => view.zoom(0.8),
    fit: () => view.fit(),
    brush_larger: () => view.drawing.setBrush(view.drawing.brushRadius * 1.25),
    brush_smaller: () => view.drawing.setBrush(view.drawing.brushRadius / 1.25),
    cursor_left: cursor(-1, 0),
    cursor_right: cursor(1, 0),
    cursor_up: cursor(0, -1),
    cursor_down: cursor(0, 1),
    cursor_left_10: cursor(-10, 0),
    cursor_right_10: cursor(10, 0),
    cursor_up_10: cursor(0, -10),
    cursor_down_10: cursor(0, 10),
    draw: () => view.drawing.drawAtCross(),
    finish: () => view.drawing.finish(),
    back: () => {
      if (view.drawing.gesture && !view.drawing.gesture.back()) view.drawing.cancelGesture();
      view.changed();
    },
    help: () => view.panels.toggleHelp(),
  };
}
return { commandsOf };
})();

const module_dom = (() => {
// Making elements.

/** An element: attributes as given, `on…` as listeners, `text` as its text; children that are null are left out. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") made.textContent = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "value") made.value = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** A button with a name for those who cannot see it, and its key where there is one. */
function button(label, onclick, { name = label, key = "", pressed, ...attributes } = {}) {
  const title = key ? `${name} (${key})` : name;
  const made = element("button", {
    type: "button", class: "sam2-button", title, "aria-label": name, "aria-keyshortcuts": key ? key.replace("Ctrl", "Control") : null,
    "aria-pressed": pressed === undefined ? null : String(pressed), onclick, ...attributes,
  });
  made.append(element("span", { text: label }));
  // the key is written by the style sheet: it is no part of the button's name
  if (key) made.append(element("kbd", { "data-key": key, "aria-hidden": "true" }));
  return made;
}

function setPressed(made, pressed) {
  made.setAttribute("aria-pressed", String(pressed));
}

/** A part of the side panel that can be folded. */
function section(title, open, ...children) {
  return element("details", { class: "sam2-section", open }, element("summary", { text: title }), ...children);
}

let counter = 0;

/** A control with its label. */
function labelled(text, control, extra = null) {
  control.id ||= `sam2-control-${++counter}`;
  return element("div", { class: "sam2-field" }, element("label", { for: control.id, text }), control, extra);
}

/** Take an element away. If the focus was in it, it goes to `heir`: else the next key would go to the notebook. */
function takeAway(node, heir) {
  if (node.contains(node.getRootNode().activeElement)) heir.focus({ preventScroll: true });
  node.remove();
}
return { element, button, setPressed, section, labelled, takeAway };
})();

const module_geometry = (() => {
// Where image pixels are on the screen, which tiles are in sight, and shapes made of points.
//
// Image coordinates are (x, y) with pixel centres at whole numbers, as prompts have them: pixel i covers i - 0.5 to
// i + 0.5. A viewport {scale, left, top} says how many screen pixels an image pixel is wide, and which image position
// is at the upper left corner of the canvas.

const MAX_SCALE = 64;
const HALF_PIXEL = 0.5;

/** The viewport that shows a whole image in the middle of a canvas. */
function fitView(image, canvas) {
  const scale = Math.min(canvas.width / image.width, canvas.height / image.height, MAX_SCALE);
  return {
    scale,
    left: image.width / 2 - HALF_PIXEL - canvas.width / 2 / scale,
    top: image.height / 2 - HALF_PIXEL - canvas.height / 2 / scale,
  };
}

function toImage(view, screen) {
  return { x: screen.x / view.scale + view.left, y: screen.y / view.scale + view.top };
}

function toScreen(view, point) {
  return { x: (point.x - view.left) * view.scale, y: (point.y - view.top) * view.scale };
}

/** Zoom so that what is under a screen position stays there. */
function zoomAt(view, factor, screen, image, canvas) {
  const smallest = Math.min(1, fitView(image, canvas).scale) / 4;
  const scale = Math.min(MAX_SCALE, Math.max(smallest, view.scale * factor));
  const at = toImage(view, screen);
  return { scale, left: at.x - screen.x / scale, top: at.y - screen.y / scale };
}

/** Move the image by screen pixels. */
function panBy(view, dx, dy) {
  return { ...view, left: view.left - dx / view.scale, top: view.top - dy / view.scale };
}

/** Keep at least a part of the image in sight. */
function keepInSight(view, image, canvas, margin = 32) {
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
function levelFor(scale, devicePixels, levelCount) {
  const level = Math.floor(Math.log2(1 / (scale * devicePixels)) + 1e-9);
  return clamp(level, 0, levelCount - 1);
}

/** The tiles of a level that are in sight, those in the middle first: [{level, column, row}]. */
function visibleTiles(view, canvas, image, level, tileSize) {
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

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** The nearest point whose pixel is in the image. */
function intoImage(point, image) {
  return { x: clamp(point.x, 0, image.width - 1), y: clamp(point.y, 0, image.height - 1) };
}

function isInside(point, image) {
  return (
    point.x >= -HALF_PIXEL &&
    point.y >= -HALF_PIXEL &&
    point.x < image.width - HALF_PIXEL &&
    point.y < image.height - HALF_PIXEL
  );
}

/** Leave out points of a line that lie within `tolerance` of the line without them (Douglas and Peucker, 1973). */
function simplify(points, tolerance) {
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
function nearest(points, at, within) {
  let found = -1;
  let best = within;
  points.forEach((point, i) => {
    const distance = Math.hypot(point.x - at.x, point.y - at.y);
    if (distance <= best) [found, best] = [i, distance];
  });
  return found;
}
return { MAX_SCALE, HALF_PIXEL, fitView, toImage, toScreen, zoomAt, panBy, keepInSight, levelFor, visibleTiles, clamp, intoImage, isInside, simplify, nearest };
})();

const module_gestures = (() => {
// How each gesture of a prompt type is drawn: with the pointer, or with a cursor that keys move.

const GESTURES = ["point", "box", "path", "polygon", "brush", "none"];
/** A pointer that moved less than this many screen pixels was held still. */
const CLICK_SLACK = 4;

/** One drawing in the making. Points are image positions; `finished` is what came of it. */
class Gesture {
  /** @param kind one of GESTURES @param slack image pixels within which a pointer was held still */
  constructor(kind, { positive = true, slack = 0 } = {}) {
    if (!GESTURES.includes(kind)) throw new RangeError(`no gesture ${kind}`);
    this.kind = kind;
    this.positive = positive;
    this.slack = slack;
    this.points = [];
    this.cursor = null;
    this.isDown = false;
    this.finished = null;
  }

  down(point) {
    this.isDown = true;
    if (this.kind === "polygon") {
      const [first] = this.points;
      if (this.points.length >= 3 && distance(first, point) <= this.slack) return this.finish();
    }
    this.points.push(point);
    this.cursor = point;
    return null;
  }

  move(point) {
    this.cursor = point;
    if (!this.isDown) return;
    if (this.kind === "path" || this.kind === "brush") {
      if (distance(this.points.at(-1), point) > 0) this.points.push(point);
    }
  }

  /** The pointer was let go; returns the drawing if that ends it. */
  up(point) {
    if (!this.isDown) return null;
    this.move(point);
    this.isDown = false;
    if (this.kind === "point") return this._end([this.points[0]]);
    if (this.kind === "box") {
      const [first] = this.points;
      // a click is the first of two corners
      if (this.points.length === 1 && distance(first, point) <= this.slack) return null;
      return this._end([first, point]);
    }
    if (this.kind === "path" || this.kind === "brush") return this._end(this.points);
    return null;
  }

  /** A key said that it is done: closes a polygon; returns the drawing, or null if there are too few points. */
  finish() {
    if (this.kind === "none") return this._end([]);
    if (this.kind === "polygon" && this.points.length >= 3) return this._end(this.points);
    if ((this.kind === "path" || this.kind === "brush") && this.points.length) return this._end(this.points);
    return null;
  }

  /** Take the last corner back; true while there is something left. */
  back() {
    this.points.pop();
    return this.points.length > 0;
  }

  get isEmpty() {
    return this.points.length === 0;
  }

  _end(points) {
    this.isDown = false;
    this.finished = { gesture: this.kind, positive: this.positive, points };
    return this.finished;
  }
}

function distance(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
return { GESTURES, CLICK_SLACK, Gesture };
})();

const module_history = (() => {
// Drawings that were sent and not answered yet: shown at once, and taken away when the answer is there or they failed.

class GestureHistory {
  constructor() {
    this.entries = [];
    this.nextId = 1;
  }

  /** Note a drawing that goes out; returns its number. */
  add(frame, object, drawing) {
    const entry = { id: this.nextId++, frame, object, drawing, state: "sent" };
    this.entries.push(entry);
    return entry.id;
  }

  /** It is a prompt now; the mask is to come. */
  accept(id, objects) {
    const entry = this._find(id);
    if (entry) Object.assign(entry, { state: "accepted", objects });
  }

  /** It was refused. */
  refuse(id) {
    this.entries = this.entries.filter((entry) => entry.id !== id);
  }

  /** Prompts of a frame came from Python: what was accepted is among them. */
  settle(frame) {
    this.entries = this.entries.filter((entry) => entry.frame !== frame || entry.state === "sent");
  }

  /** Those to draw on a frame. */
  pending(frame) {
    return this.entries.filter((entry) => entry.frame === frame);
  }

  clear() {
    this.entries = [];
  }

  _find(id) {
    return this.entries.find((entry) => entry.id === id);
  }
}
return { GestureHistory };
})();

const module_masks = (() => {
// Masks as they come from Python: a box (x0, y0, x1, y1), x1 and y1 the first pixels outside, and what is set inside.

const FILL_ALPHA = 110;

/** The bytes of a buffer, which may be a part of a larger one. */
function bytesOf(buffer) {
  if (buffer instanceof Uint8Array) return buffer;
  if (ArrayBuffer.isView(buffer)) return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  return new Uint8Array(buffer);
}

/** Unpack run lengths, little-endian uint32, of pixels row by row: not set, set, not set, … */
function decodeRuns(bytes, size) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pixels = new Uint8Array(size);
  let at = 0;
  for (let i = 0; i * 4 < bytes.byteLength; i++) {
    const length = view.getUint32(i * 4, true);
    if (i % 2) pixels.fill(1, at, at + length);
    at += length;
  }
  if (at !== size) throw new RangeError(`run lengths add up to ${at}, not to the ${size} pixels of the box`);
  return pixels;
}

/** Unpack bits, eight to a byte with the first in the highest. */
function decodeBits(bytes, size) {
  if (bytes.byteLength !== Math.ceil(size / 8)) {
    throw new RangeError(`${bytes.byteLength} bytes are not enough for just ${size} pixels`);
  }
  const pixels = new Uint8Array(size);
  for (let i = 0; i < size; i++) pixels[i] = (bytes[i >> 3] >> (7 - (i & 7))) & 1;
  return pixels;
}

/** A mask from its description and its part of a buffer. */
function decodeMask(entry, bytes) {
  const [x0, y0, x1, y1] = entry.box;
  const width = x1 - x0;
  const height = y1 - y0;
  const part = bytes.subarray(entry.offset, entry.offset + entry.length);
  const decode = { runs: decodeRuns, bits: decodeBits }[entry.packing];
  if (!decode) throw new RangeError(`masks are packed as runs or bits; got ${entry.packing}`);
  return { x: x0, y: y0, width, height, pixels: decode(part, width * height) };
}

/** Whether a mask covers an image position. */
function covers(mask, point) {
  const column = Math.round(point.x) - mask.x;
  const row = Math.round(point.y) - mask.y;
  if (column < 0 || row < 0 || column >= mask.width || row >= mask.height) return false;
  return mask.pixels[row * mask.width + column] === 1;
}

function areaOf(mask) {
  let area = 0;
  for (const pixel of mask.pixels) area += pixel;
  return area;
}

/** Mark the pixels of a mask that have a neighbour (of four) outside it. */
function outline({ width, height, pixels }) {
  const edge = new Uint8Array(pixels.length);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (!pixels[i]) continue;
      const inside =
        x > 0 && y > 0 && x < width - 1 && y < height - 1 &&
        pixels[i - 1] && pixels[i + 1] && pixels[i - width] && pixels[i + width];
      edge[i] = inside ? 0 : 1;
    }
  }
  return edge;
}

function rgbOf(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

/** RGBA of a mask: a light fill within an outline that is opaque. */
function colourMask(mask, colour) {
  const [red, green, blue] = rgbOf(colour);
  const edge = outline(mask);
  const rgba = new Uint8ClampedArray(mask.pixels.length * 4);
  for (let i = 0; i < mask.pixels.length; i++) {
    if (!mask.pixels[i]) continue;
    rgba[4 * i] = red;
    rgba[4 * i + 1] = green;
    rgba[4 * i + 2] = blue;
    rgba[4 * i + 3] = edge[i] ? 255 : FILL_ALPHA;
  }
  return rgba;
}

/** What is known of the masks of the frames seen last; answers that are older than what is known are dropped. */
class MaskBook {
  constructor(frameLimit = 24) {
    this.frameLimit = frameLimit;
    this.frames = new Map();
  }

  /** Take an answer in; returns the ids of objects whose masks it changed. */
  take(answer, buffers) {
    const bytes = buffers.length ? bytesOf(buffers[0]) : new Uint8Array(0);
    const known = this._frame(answer.frame);
    const changed = [];
    const listed = new Set();
    for (const entry of answer.masks) {
      listed.add(entry.object);
      if ((known.seq.get(entry.object) ?? -1) > answer.seq) continue;
      known.seq.set(entry.object, answer.seq);
      if (entry.length) known.masks.set(entry.object, { ...decodeMask(entry, bytes), record: entry.record });
      else known.masks.delete(entry.object);
      changed.push(entry.object);
    }
    const asked = answer.objects ?? [...known.masks.keys()];
    for (const object of asked) {
      if (listed.has(object) || (known.seq.get(object) ?? -1) > answer.seq) continue;
      known.seq.set(object, answer.seq);
      if (known.masks.delete(object)) changed.push(object);
    }
    if (answer.objects === null || answer.objects === undefined) known.complete = Math.max(known.complete, answer.seq);
    return changed;
  }

  /** Note that masks changed; what is known of them is out of date until an answer at least as new comes. */
  outdate(frames, seq) {
    const concerned = frames === null ? [...this.frames.keys()] : frames;
    for (const frame of concerned) {
      const known = this.frames.get(frame);
      if (known) known.wanted = Math.max(known.wanted, seq);
    }
  }

  isCurrent(frame) {
    const known = this.frames.get(frame);
    return known !== undefined && known.complete >= known.wanted && known.complete >= 0;
  }

  masks(frame) {
    return this.frames.get(frame)?.masks ?? new Map();
  }

  clear() {
    this.frames.clear();
  }

  _frame(frame) {
    let known = this.frames.get(frame);
    if (known) this.frames.delete(frame);
    else known = { masks: new Map(), seq: new Map(), complete: -1, wanted: -1 };
    this.frames.set(frame, known);
    while (this.frames.size > this.frameLimit) this.frames.delete(this.frames.keys().next().value);
    return known;
  }
}
return { bytesOf, decodeRuns, decodeBits, decodeMask, covers, areaOf, outline, rgbOf, colourMask, MaskBook };
})();

const module_drawing = (() => {
// Drawing prompts: with the pointer, or with a cross that keys move; and sending what was drawn.

const { clamp, intoImage, isInside, nearest, panBy, simplify, toImage, toScreen } = module_geometry;
const { CLICK_SLACK, Gesture } = module_gestures;
const { GestureHistory } = module_history;
const { covers } = module_masks;

const POINT_REACH = 7;

class Drawing {
  /** @param view AnnotationView in which is drawn */
  constructor(view) {
    this.view = view;
    this.pendingDrawings = new GestureHistory();
    this.gesture = null;
    this.cross = null;
    this.drag = null;
    this.brushRadius = 6;
    this.chain = Promise.resolve();
    this.chained = 0;
  }

  at(event) {
    const edge = this.view.canvas.getBoundingClientRect();
    return { x: event.clientX - edge.left, y: event.clientY - edge.top };
  }

  pointerDown(event) {
    this.view.stage.focus({ preventScroll: true });
    if (!this.view.about || !this.view.viewport) return;
    event.preventDefault();
    const screen = this.at(event);
    const point = toImage(this.view.viewport, screen);
    this.view.stage.setPointerCapture?.(event.pointerId);
    if ((event.ctrlKey || event.metaKey) && event.button === 0) {
      this._pick(point);
      return;
    }
    const mayDraw = !this.view.about.read_only && event.button !== 1;
    if (mayDraw && event.button === 0 && this._grabPoint(point, event.shiftKey)) return;
    if (!mayDraw || event.shiftKey) {
      this.drag = { kind: "pan", screen };
      return;
    }
    const negative = event.button === 2 || event.altKey;
    this._begin(point, negative ? !this.view.store.get("positive") : this.view.store.get("positive"));
  }

  _begin(point, positive) {
    const { tool } = this.view;
    if (tool.gesture === "none" || this.view.shownFrame !== this.view.store.get("frame")) return;
    if (tool.gesture === "point" && !isInside(point, this.view.about)) return;
    const at = tool.gesture === "point" ? intoImage(point, this.view.about) : point;
    const slack = CLICK_SLACK / this.view.viewport.scale;
    // a box may be begun by one corner and a polygon by several: then this goes on with it
    this.gesture ??= new Gesture(tool.gesture, { positive, slack });
    this.gesture.start ??= point;
    this._finished(this.gesture.down(at));
    this.view.changed();
  }

  pointerMove(event) {
    if (!this.view.about || !this.view.viewport) return;
    const screen = this.at(event);
    if (this.drag?.kind === "pan") {
      this.view.setViewport(panBy(this.view.viewport, screen.x - this.drag.screen.x, screen.y - this.drag.screen.y));
      this.drag.screen = screen;
      return;
    }
    const point = toImage(this.view.viewport, screen);
    if (this.drag?.kind === "point") {
      const at = intoImage(point, this.view.about);
      this.drag.points[this.drag.index] = [at.x, at.y];
      this.drag.moved = true;
      this.view.changed();
      return;
    }
    if (!this.gesture) return;
    if (this.gesture.kind === "point" && this.gesture.isDown && this.gesture.positive) this._maybeBox(point);
    this.gesture.move(point);
    this.view.changed();
  }

  /** Who drags with the point tool means a box. */
  _maybeBox(point) {
    const start = this.gesture.start;
    const boxTool = this.view.about.tools.find((tool) => tool.gesture === "box");
    if (!boxTool || Math.hypot(point.x - start.x, point.y - start.y) * this.view.viewport.scale <= 2 * CLICK_SLACK) return;
    this.gesture = new Gesture("box", { positive: true, slack: this.gesture.slack });
    this.gesture.tool = boxTool;
    this.gesture.down(start);
  }

  pointerUp(event) {
    const drag = this.drag;
    this.drag = null;
    if (drag?.kind === "point" && drag.moved) {
      this.view.ask("set_points", { object: drag.object, frame: drag.frame, points: drag.points, labels: drag.labels });
      return;
    }
    if (drag || !this.gesture) return;
    this._finished(this.gesture.up(toImage(this.view.viewport, this.at(event))));
    this.view.changed();
  }

  doubleClick(event) {
    if (this.gesture?.kind === "polygon") {
      // the second press of the double click made a corner of its own
      if (this.gesture.points.length > 3) this.gesture.back();
      this._finished(this.gesture.finish());
      event.preventDefault();
    }
  }

  _finished(drawing) {
    if (!drawing) return;
    const tool = this.gesture?.tool ?? this.view.tool;
    this.gesture = null;
    this.send(drawing, tool);
  }

  cancelGesture() {
    const had = this.gesture !== null;
    this.gesture = null;
    if (had) this.view.changed();
    return had;
  }

  /** Send what was drawn. One after the other, since a drawing may make the object that the next one is about. */
  send(drawing, tool = this.view.tool) {
    const frame = this.view.store.get("frame");
    const isLine = drawing.gesture === "path" || drawing.gesture === "brush";
    const points = isLine ? simplify(drawing.points, 0.25) : drawing.points;
    const number = this.pendingDrawings.add(frame, this.view.store.get("selected"), { ...drawing, points });
    this.chained += 1;
    this.chain = this.chain.then(async () => {
      try {
        const { payload } = await this.view.client.request("draw", {
          tool: tool.name, gesture: drawing.gesture, frame, positive: drawing.positive, object: this.view.store.get("selected"),
          points: points.map(({ x, y }) => [round(x), round(y)]),
          radius: drawing.gesture === "brush" ? this.brushRadius : null,
          options: this.view.store.get("tool_options")?.[tool.name] ?? {},
        });
        this.pendingDrawings.accept(number, payload.objects);
        if (payload.objects.length && !payload.objects.includes(this.view.store.get("selected"))) this.view.select(payload.objects[0]);
        if (!payload.objects.length) this.pendingDrawings.refuse(number);
      } catch (error) {
        this.pendingDrawings.refuse(number);
        this.view.report(error);
      } finally {
        this.chained -= 1;
        this.view.changed();
      }
    });
    this.view.changed();
  }

  _pick(point) {
    const hidden = new Set(this.view.store.get("hidden"));
    for (const [id, mask] of this.view.book.masks(this.view.store.get("frame"))) {
      if (!hidden.has(id) && covers(mask, point)) {
        this.view.select(id);
        return;
      }
    }
  }

  /** Begin to drag a point of the chosen object, or take it away; false if there is none at that place. */
  _grabPoint(point, remove) {
    const frame = this.view.store.get("frame");
    const object = this.view.store.get("selected");
    const prompt = (this.view.prompts.get(frame) ?? []).find((one) => one.object === object);
    if (this.gesture || !prompt?.points.length || this.view.shownFrame !== frame) return false;
    const places = prompt.points.map(([x, y]) => ({ x, y }));
    const index = nearest(places, point, POINT_REACH / this.view.viewport.scale);
    if (index < 0) return false;
    if (remove) {
      const keep = (_, i) => i !== index;
      this.view.ask("set_points", { object, frame, points: prompt.points.filter(keep), labels: prompt.labels.filter(keep) });
      return true;
    }
    this.drag = { kind: "point", object, frame, index, points: prompt.points.map((at) => [...at]), labels: prompt.labels };
    return true;
  }

  setBrush(radius) {
    this.brushRadius = clamp(radius, 0.5, 500);
    this.view.status.textContent = `brush of ${this.brushRadius.toFixed(1)} pixels`;
    this.view.changed();
  }

  moveCross(dx, dy) {
    const middle = toImage(this.view.viewport, { x: this.view.painter.size.width / 2, y: this.view.painter.size.height / 2 });
    const from = this.cross ?? { x: Math.round(middle.x), y: Math.round(middle.y) };
    this.cross = intoImage(this.cross ? { x: from.x + dx, y: from.y + dy } : from, this.view.about);
    if (this.gesture) this.gesture.move(this.cross);
    const at = toScreen(this.view.viewport, this.cross);
    const { width, height } = this.view.painter.size;
    if (at.x < 0 || at.y < 0 || at.x > width || at.y > height) this.view.setViewport(panBy(this.view.viewport, width / 2 - at.x, height / 2 - at.y));
    this.view.status.textContent = `cross at x ${this.cross.x}, y ${this.cross.y}`;
    this.view.changed();
  }

  drawAtCross() {
    if (!this.cross) {
      this.moveCross(0, 0);
      return;
    }
    const kind = this.view.tool.gesture;
    const isLine = kind === "path" || kind === "brush";
    if (this.gesture && (isLine || kind === "box")) {
      if (!isLine) this.gesture.down(this.cross);
      this._finished(this.gesture.up(this.cross));
    } else {
      this._begin(this.cross, this.view.store.get("positive"));
      if (!isLine && this.gesture) this._finished(this.gesture.up(this.cross));
    }
    this.view.changed();
  }

  finish() {
    if (this.gesture) this._finished(this.gesture.finish());
    else if (this.view.tool.gesture === "none") this.view.chooseTool(this.view.tool.name);
    this.view.changed();
  }
}

function round(value) {
  return Math.round(value * 100) / 100;
}
return { Drawing };
})();

const module_frame_strip = (() => {
// The slider of an axis of frames, with marks where prompts are and a strip that shows where masks are.

const { element } = module_dom;

const HEIGHT = 18;

class FrameStrip {
  /** @param onPlace called with the place on the axis that was chosen @param axis its letter @param count its length */
  constructor(onPlace, axis, count) {
    this.slider = element("input", {
      type: "range", class: "sam2-frames", min: 0, value: 0, step: 1, max: count - 1, "aria-label": `${axis} of the frame`,
      oninput: () => onPlace(Number(this.slider.value)),
    });
    this.strip = element("canvas", { class: "sam2-strip", height: HEIGHT, role: "img", "aria-label": "frames with masks and prompts" });
    this.text = element("output", { class: "sam2-frame-text" });
    this.root = element("div", { class: "sam2-frame-row", "data-axis": axis, hidden: count < 2 }, element("div", { class: "sam2-frame-track" }, this.slider, this.strip), this.text);
    this.strip.addEventListener("pointerdown", (event) => {
      const share = event.offsetX / Math.max(1, this.strip.clientWidth);
      onPlace(Math.min(this.count - 1, Math.floor(share * this.count)));
    });
    this.count = count;
    this.axis = axis;
  }

  show(place) {
    this.slider.value = place;
    this.slider.setAttribute("aria-valuetext", `${this.axis} ${place} of 0 to ${this.count - 1}`);
    this.text.textContent = `${this.axis} ${place} / ${this.count - 1}`;
  }

  /** Draw marks. `overview`: {coverage: numbers of masks in as many parts of the axis, prompts, selected: places}. */
  paint(overview, colour) {
    const width = Math.max(1, Math.round(this.strip.clientWidth * (globalThis.devicePixelRatio || 1)));
    if (this.strip.width !== width) this.strip.width = width;
    const context = this.strip.getContext("2d");
    const style = getComputedStyle(this.root);
    context.clearRect(0, 0, width, HEIGHT);
    const { coverage, prompts, selected } = overview;
    const most = Math.max(1, ...coverage);
    const step = width / coverage.length;
    context.fillStyle = style.getPropertyValue("--sam2-accent") || "#1976d2";
    coverage.forEach((masks, part) => {
      if (!masks) return;
      context.globalAlpha = 0.35 + (0.65 * masks) / most;
      context.fillRect(Math.floor(part * step), HEIGHT - 8, Math.ceil(step), 8);
    });
    context.globalAlpha = 1;
    const place = (frame) => ((frame + 0.5) / this.count) * width;
    for (const [frames, shade] of [[prompts, style.getPropertyValue("--sam2-muted") || "#777777"], [selected, colour ?? "#ffffff"]]) {
      context.fillStyle = shade;
      for (const frame of frames) {
        const x = place(frame);
        context.beginPath();
        context.moveTo(x - 4, 0);
        context.lineTo(x + 4, 0);
        context.lineTo(x, 8);
        context.fill();
      }
    }
    this.strip.setAttribute(
      "aria-label",
      `${this.axis}: masks on ${overview.masked} of ${this.count} frames, prompts on ${prompts.length}`
    );
    this.root.dataset.masked = overview.masked;
    this.root.dataset.prompts = prompts.join(" ");
  }
}
return { FrameStrip };
})();

const module_frame_grid = (() => {
// How frames are numbered along one axis or two; of two the second runs fastest. `axes`: [{axis, length}].

/** Where a frame is on each axis. */
function placesOf(frame, axes) {
  const places = [];
  let left = frame;
  for (const { length } of [...axes].reverse()) {
    places.unshift(left % length);
    left = Math.floor(left / length);
  }
  return places;
}

function frameAt(places, axes) {
  return axes.reduce((frame, { length }, i) => frame * length + places[i], 0);
}

/** The frame at another place on one axis, brought into the axis. */
function movedTo(frame, axes, number, place) {
  const places = placesOf(frame, axes);
  places[number] = Math.max(0, Math.min(axes[number].length - 1, Math.round(place)));
  return frameAt(places, axes);
}

/** A frame for people to read: "z 3", or "t 1, z 3". */
function frameInWords(frame, axes) {
  return placesOf(frame, axes).map((place, i) => `${axes[i].axis} ${place}`).join(", ");
}
return { placesOf, frameAt, movedTo, frameInWords };
})();

const module_tiles = (() => {
// Tiles that were fetched, the ones used last kept; and what to fetch next.

function tileKey(frame, tile) {
  return `${frame}/${tile.level}/${tile.column}/${tile.row}`;
}

/** Keeps tiles up to a number of bytes; what was used longest ago goes first. */
class TileStore {
  constructor(budget) {
    this.budget = budget;
    this.bytes = 0;
    this.tiles = new Map();
  }

  get(key) {
    const tile = this.tiles.get(key);
    if (tile) {
      this.tiles.delete(key);
      this.tiles.set(key, tile);
    }
    return tile;
  }

  peek(key) {
    return this.tiles.get(key);
  }

  put(key, tile) {
    this.drop(key);
    this.tiles.set(key, tile);
    this.bytes += tile.bytes;
    for (const oldest of this.tiles.keys()) {
      if (this.bytes <= this.budget || oldest === key) break;
      this.drop(oldest);
    }
  }

  drop(key) {
    const tile = this.tiles.get(key);
    if (!tile) return;
    this.tiles.delete(key);
    this.bytes -= tile.bytes;
    tile.release?.();
  }

  clear() {
    for (const key of [...this.tiles.keys()]) this.drop(key);
  }
}

/** Fetches what is wanted now, a few at a time; what is no longer wanted is not begun, or is given up. */
class TileQueue {
  /** @param fetch (wanted, signal) => Promise, called for each tile that is begun */
  constructor(fetch, limit = 4) {
    this.fetch = fetch;
    this.limit = limit;
    this.wanted = [];
    this.running = new Map();
  }

  /** Say what is wanted from now on, the most urgent first: [{key, …}]. */
  want(items) {
    const keys = new Set(items.map((item) => item.key));
    for (const [key, { controller }] of this.running) {
      if (!keys.has(key)) {
        this.running.delete(key);
        controller.abort();
      }
    }
    this.wanted = items.filter((item) => !this.running.has(item.key));
    this._next();
  }

  get isIdle() {
    return this.wanted.length === 0 && this.running.size === 0;
  }

  _next() {
    while (this.running.size < this.limit && this.wanted.length) {
      const item = this.wanted.shift();
      const controller = new AbortController();
      const entry = { controller };
      this.running.set(item.key, entry);
      const over = () => {
        if (this.running.get(item.key) === entry) this.running.delete(item.key);
        this._next();
      };
      this.fetch(item, controller.signal).then(over, over);
    }
  }
}
return { tileKey, TileStore, TileQueue };
})();

const module_image_source = (() => {
// The image of the frame that is looked at: which tiles are needed, fetching them, and those of the frames beside it.

const { levelFor, visibleTiles } = module_geometry;
const { bytesOf } = module_masks;
const { TileQueue, TileStore, tileKey } = module_tiles;

const STORE_BYTES = 96 * 2 ** 20;
/** A frame that is looked at for so long is fetched without loss. */
const SETTLE_MS = 200;

class ImageSource {
  /** @param client Client @param onTile called when there is something new to draw */
  constructor(client, onTile) {
    this.client = client;
    this.onTile = onTile;
    this.store = new TileStore(STORE_BYTES);
    this.queue = new TileQueue((wanted, signal) => this._fetch(wanted, signal));
    this.place = null;
    this.timer = null;
    this.isSettled = true;
  }

  /** Say what is looked at: {frame, view, canvas, image, ratio, levels, tileSize, limits, frameCount, position}. */
  look(place) {
    const before = this.place;
    this.place = place;
    if (before && before.position !== place.position) this.store.clear();
    if (before && (before.frame !== place.frame || before.limits !== place.limits)) {
      this.isSettled = false;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => {
        this.isSettled = true;
        this._ask();
      }, SETTLE_MS);
    }
    this.direction = before && before.frame > place.frame ? -1 : 1;
    this._ask();
  }

  /** Whether all of a frame that is in sight is at hand, however coarse its colours. */
  isAtHand(frame) {
    return this._needed(frame).every((tile) => this.store.peek(tileKey(frame, tile)));
  }

  /** Whether nothing is being fetched and all is there without loss. */
  get isSharp() {
    return this.isSettled && this.queue.isIdle;
  }

  close() {
    clearTimeout(this.timer);
    this.queue.want([]);
    this.store.clear();
  }

  _needed(frame) {
    const { view, canvas, image, ratio, levels, tileSize } = this.place;
    const level = levelFor(view.scale, ratio, levels);
    return visibleTiles(view, canvas, image, level, tileSize).map((tile) => ({ ...tile, frame }));
  }

  _ask() {
    const { frame, frameCount, limits } = this.place;
    const wanted = [];
    const add = (tile, codec) => wanted.push({ ...tile, codec, limits, key: `${codec}:${tileKey(tile.frame, tile)}` });
    for (const tile of this._needed(frame)) {
      const known = this.store.get(tileKey(frame, tile));
      const isExact = known?.codec === "deflate" && sameLimits(known.limits, limits);
      if (this.isSettled ? !isExact : !known) add(tile, this.isSettled ? "deflate" : "jpeg");
    }
    for (const step of [this.direction, -this.direction]) {
      const beside = frame + step;
      if (beside < 0 || beside >= frameCount) continue;
      for (const tile of this._needed(beside)) if (!this.store.peek(tileKey(beside, tile))) add(tile, "jpeg");
    }
    this.queue.want(wanted);
  }

  async _fetch(wanted, signal) {
    const { frame, level, column, row, limits, codec } = wanted;
    const request = { frame, level, column, row, limits, codec };
    const { payload, buffers } = await this.client.request("tile", request, { signal });
    const tile = await decodeTile(payload, bytesOf(buffers[0]));
    const key = tileKey(frame, tile);
    const known = this.store.peek(key);
    if (known?.codec === "deflate" && codec === "jpeg") return;
    this.store.put(key, { ...tile, bytes: tile.width * tile.height * (4 + tile.channels) });
    this.onTile(frame);
  }
}

function sameLimits(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

async function decodeTile(tile, bytes) {
  if (tile.codec === "jpeg") {
    const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }), { colorSpaceConversion: "none" });
    return { ...tile, bitmap, release: () => bitmap.close() };
  }
  const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return { ...tile, values: new Uint8Array(await new Response(inflated).arrayBuffer()) };
}
return { ImageSource };
})();

const module_job_list = (() => {
// What runs: progress, how long it will take, pause and cancel; and why something failed.

const { button, element, takeAway } = module_dom;

const ENDED = new Set(["done", "failed", "cancelled"]);

class JobList {
  /** @param control (id, "cancel" | "pause" | "resume" | "stop") @param onFailed (message, details) @param heir of the focus */
  constructor(control, onFailed, heir) {
    this.heir = heir;
    this.control = control;
    this.onFailed = onFailed;
    this.jobs = new Map();
    this.root = element("div", { class: "sam2-jobs" });
  }

  get active() {
    return [...this.jobs.values()].map((entry) => entry.job).filter((job) => !ENDED.has(job.state));
  }

  /** Show all jobs; those that are not listed are gone. */
  setAll(jobs) {
    const ids = new Set(jobs.map((job) => job.id));
    for (const id of [...this.jobs.keys()]) if (!ids.has(id)) this._remove(id);
    for (const job of jobs) if (!ENDED.has(job.state)) this.show(job);
  }

  show(job) {
    const known = this.jobs.get(job.id);
    // several threads report: what is over stays so
    if (known && ENDED.has(known.job.state)) return;
    if (ENDED.has(job.state)) {
      this._remove(job.id);
      this.jobs.set(job.id, { job, row: null });
      if (job.state === "failed") this.onFailed(`${job.label}: ${job.error?.message ?? "failed"}`, job.error?.details);
      return;
    }
    const entry = known ?? this._add(job);
    entry.job = job;
    // answers to clicks are over before a bar could be read
    entry.row.hidden = job.kind === "segment";
    if (job.total) {
      entry.bar.max = job.total;
      entry.bar.value = job.done;
    } else entry.bar.removeAttribute("value");
    const eta = job.eta_seconds === null ? "" : `, ${duration(job.eta_seconds)} left`;
    // a training counts the seconds of its budget
    const count = job.total ? ` ${job.done} of ${job.total}${job.kind === "train" ? " s" : ""}` : "";
    entry.text.textContent = `${job.label}: ${job.state}${count}${eta}`;
    if (job.kind !== "train") entry.pause.firstChild.textContent = job.state === "paused" ? "Resume" : "Pause";
    entry.row.dataset.state = job.state;
    entry.row.dataset.done = job.done;
  }

  _add(job) {
    const entry = { job };
    entry.text = element("span", { id: `sam2-job-${job.id}-${Math.random().toString(36).slice(2)}` });
    entry.bar = element("progress", { "aria-labelledby": entry.text.id });
    // the time of a training would go on in a pause; it can be ended with what it has come to
    entry.pause = job.kind === "train"
      ? button("Stop", () => this.control(job.id, "stop"), { name: `stop ${job.label} and keep the best` })
      : button("Pause", () => this.control(job.id, entry.job.state === "paused" ? "resume" : "pause"));
    entry.cancel = button("Cancel", () => this.control(job.id, "cancel"), { name: `cancel ${job.label}` });
    entry.row = element("div", { class: "sam2-job", "data-kind": job.kind }, entry.text, entry.bar, entry.pause, entry.cancel);
    this.root.append(entry.row);
    this.jobs.set(job.id, entry);
    return entry;
  }

  _remove(id) {
    const row = this.jobs.get(id)?.row;
    if (row) takeAway(row, this.heir);
    this.jobs.delete(id);
  }
}

function duration(seconds) {
  if (seconds < 1) return "less than 1 s";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
return { JobList, duration };
})();

const module_keys = (() => {
// Which key does what. Keys are places on the keyboard (KeyboardEvent.code), so that they are the same in any layout;
// "Mod" is Ctrl, or Cmd on a Mac.

const DEFAULT_KEYS = [
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
function parseKey(text) {
  const parts = text.split("+");
  const last = parts.pop();
  const code = /^[A-Za-z]$/.test(last) ? `Key${last.toUpperCase()}` : /^[0-9]$/.test(last) ? `Digit${last}` : last;
  const known = new Set(["Mod", "Shift", "Alt"]);
  if (!last || parts.some((part) => !known.has(part))) throw new RangeError(`no key is called ${text}`);
  return { mod: parts.includes("Mod"), shift: parts.includes("Shift"), alt: parts.includes("Alt"), code };
}

/** How a key is written for people. */
function keyLabel(text) {
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
class KeyMap {
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
return { DEFAULT_KEYS, parseKey, keyLabel, KeyMap };
})();

const module_object_list = (() => {
// The list of objects: choose, name, hide, accept, delete.

const { button, element, setPressed, takeAway } = module_dom;

class ObjectList {
  /** @param actions select(id), toggle(id), change(id, {name, colour, category}), remove(id) @param heir of the focus */
  constructor(actions, heir) {
    this.heir = heir;
    this.actions = actions;
    this.rows = new Map();
    this.list = element("ul", { class: "sam2-objects", "aria-label": "objects" });
    this.empty = element("p", { class: "sam2-hint", text: "No objects yet. Click on a cell." });
    this.root = element("div", {}, this.list, this.empty);
  }

  /** Show objects; `records` are those of the frame that is looked at, by id. */
  show(objects, selected, hidden, records) {
    this.empty.hidden = objects.length > 0;
    const ids = new Set(objects.map((one) => one.id));
    for (const [id, row] of this.rows) {
      if (!ids.has(id)) {
        takeAway(row.item, this.heir);
        this.rows.delete(id);
      }
    }
    for (const one of objects) {
      const row = this.rows.get(one.id) ?? this._add(one.id);
      this._fill(row, one, one.id === selected, hidden.has(one.id), records.get(one.id));
    }
  }

  _add(id) {
    const row = { id };
    row.chip = element("input", {
      type: "color", class: "sam2-chip",
      onchange: () => this.actions.change(id, { colour: row.chip.value }),
    });
    row.name = element("button", { type: "button", class: "sam2-object-name", onclick: () => this.actions.select(id) });
    row.note = element("span", { class: "sam2-note" });
    row.eye = button("◉", () => this.actions.toggle(id), { pressed: true });
    row.rename = button("✎", () => this._rename(row));
    row.remove = button("✕", () => this.actions.remove(id));
    row.item = element("li", { "data-object": id }, row.chip, row.name, row.note, row.eye, row.rename, row.remove);
    this.rows.set(id, row);
    this.list.append(row.item);
    return row;
  }

  _fill(row, one, selected, hidden, record) {
    row.one = one;
    const name = one.category ? `${one.name} · ${one.category}` : one.name;
    if (row.name.textContent !== name) row.name.textContent = name;
    if (row.chip.value !== one.colour) row.chip.value = one.colour;
    row.chip.setAttribute("aria-label", `colour of ${one.name}`);
    row.item.classList.toggle("sam2-selected", selected);
    setPressed(row.name, selected);
    setPressed(row.eye, !hidden);
    row.eye.firstChild.textContent = hidden ? "○" : "◉";
    for (const [made, words] of [[row.eye, "show"], [row.rename, "rename"], [row.remove, "delete"]]) {
      made.setAttribute("aria-label", `${words} ${one.name}`);
      made.title = `${words} ${one.name}`;
    }
    const score = record?.predicted_iou;
    const parts = [
      record?.locked ? "locked" : null,
      score === null || score === undefined ? null : score.toFixed(2),
      `${one.masks}`,
    ];
    row.note.textContent = parts.filter(Boolean).join(" · ");
    row.note.title = `masks on ${one.masks} frames, prompts on ${one.prompts}` +
      (score === null || score === undefined ? "" : `; expected IoU here ${score.toFixed(2)}`);
    row.item.dataset.masks = one.masks;
    row.item.dataset.prompts = one.prompts;
  }

  _rename(row) {
    const input = element("input", { type: "text", class: "sam2-rename", value: row.one.name, "aria-label": "new name" });
    let isDone = false;
    const done = (keep) => {
      // taking the field away takes the focus from it, which would end it again
      if (isDone) return;
      isDone = true;
      const name = input.value.trim();
      input.replaceWith(row.name);
      row.name.focus();
      if (keep && name && name !== row.one.name) this.actions.change(row.id, { name });
    };
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") done(true);
      if (event.key === "Escape") {
        done(false);
        event.stopPropagation();
      }
    });
    input.addEventListener("blur", () => done(true));
    row.name.replaceWith(input);
    input.select();
    input.focus();
  }
}
return { ObjectList };
})();

const module_option_form = (() => {
// A small form of typed options, as Python describes them: [{name, kind, default, min, max, choices, optional}].

const { element, labelled } = module_dom;

class OptionForm {
  /** @param onChange called with {name: value} whenever something is changed */
  constructor(onChange) {
    this.onChange = onChange;
    this.root = element("div", { class: "sam2-options" });
    this.values = {};
  }

  show(options, values = {}) {
    this.values = { ...values };
    this.root.replaceChildren(...options.filter((option) => option.kind !== "other").map((option) => this._field(option)));
    this.root.hidden = this.root.childElementCount === 0;
  }

  _field(option) {
    const value = option.name in this.values ? this.values[option.name] : option.default;
    const control = this._control(option, value);
    return labelled(option.name.replaceAll("_", " "), control);
  }

  _control(option, value) {
    const keep = (read) => (event) => {
      this.values = { ...this.values, [option.name]: read(event.target) };
      this.onChange(this.values);
    };
    if (option.kind === "bool") {
      const box = element("input", { type: "checkbox", onchange: keep((target) => target.checked) });
      box.checked = Boolean(value);
      return box;
    }
    if (option.kind === "choice") {
      const entries = option.choices.map((choice) => element("option", { value: String(choice), text: String(choice) }));
      const select = element("select", { onchange: keep((target) => option.choices[target.selectedIndex]) }, ...entries);
      select.selectedIndex = option.choices.indexOf(value);
      return select;
    }
    if (option.kind === "int" || option.kind === "float") {
      const read = (target) => (target.value === "" ? null : Number(target.value));
      return element("input", {
        type: "number", min: option.min, max: option.max, step: option.kind === "int" ? 1 : "any",
        value: value ?? "", onchange: keep(read),
      });
    }
    return element("input", { type: "text", value: value ?? "", onchange: keep((target) => target.value) });
  }
}
return { OptionForm };
})();

const module_pixels = (() => {
// From the values of channels to the colours on the screen.

const TINTS = { grey: [[1, 1, 1]], colours: [[1, 0, 0], [0, 1, 0], [0, 0, 1]] };

/** For each of 256 values, which stand for intensities from `held[0]` to `held[1]`, what it is between other limits. */
function lookUpTable(held, wanted) {
  const table = new Uint8ClampedArray(256);
  const range = wanted[1] - wanted[0];
  for (let value = 0; value < 256; value++) {
    const intensity = held[0] + (value / 255) * (held[1] - held[0]);
    table[value] = range > 0 ? (255 * (intensity - wanted[0])) / range : intensity >= wanted[1] ? 255 : 0;
  }
  return table;
}

/**
 * RGBA of pixels with `channelCount` values each.
 *
 * @param values Uint8Array, channels of a pixel beside each other
 * @param tables one look-up table for each channel
 * @param shown for each channel whether it is visible
 */
function compose(values, channelCount, tables, shown) {
  const count = values.length / channelCount;
  const rgba = new Uint8ClampedArray(count * 4);
  const tints = channelCount === 1 ? TINTS.grey : TINTS.colours;
  const visible = [...Array(channelCount).keys()].filter((channel) => shown[channel] !== false);
  // one channel alone is easier to see in grey
  const alone = visible.length === 1;
  for (let i = 0; i < count; i++) rgba[4 * i + 3] = 255;
  for (const channel of visible) {
    const tint = alone ? TINTS.grey[0] : tints[channel];
    const table = tables[channel];
    for (let i = 0; i < count; i++) {
      const value = table[values[i * channelCount + channel]];
      if (tint[0]) rgba[4 * i] += value;
      if (tint[1]) rgba[4 * i + 1] += value;
      if (tint[2]) rgba[4 * i + 2] += value;
    }
  }
  return rgba;
}
return { lookUpTable, compose };
})();

const module_painter = (() => {
// Draws what is known on a canvas: tiles of the image, masks over them, prompts and the drawing in the making.

const { toScreen, visibleTiles, HALF_PIXEL } = module_geometry;
const { compose, lookUpTable } = module_pixels;
const { colourMask } = module_masks;

const POSITIVE = "#2bd46b";
const NEGATIVE = "#ff5a4d";

class Painter {
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
function tilesToDraw(store, frame, view, canvas, image, tileSize) {
  const found = [...store.tiles.values()].filter((tile) => tile.frame === frame);
  const levels = [...new Set(found.map((tile) => tile.level))].sort((a, b) => b - a);
  return levels.flatMap((level) => {
    const inSight = new Set(visibleTiles(view, canvas, image, level, tileSize).map((t) => `${t.column}/${t.row}`));
    return found.filter((tile) => tile.level === level && inSight.has(`${tile.column}/${tile.row}`));
  });
}
return { Painter, tilesToDraw };
})();

const module_carry_panel = (() => {
// Carrying volumes from the time that is shown to others, in z-stacks over time.

const { button, element, labelled } = module_dom;
const { OptionForm } = module_option_form;

class CarryPanel {
  /** @param view AnnotationView @param options typed ones, or null where there is no time to carry along */
  constructor(view, options) {
    this.view = view;
    this.values = {};
    this.root = null;
    if (!options) return;
    const form = new OptionForm((values) => (this.values = values));
    form.show(options);
    this.direction = element("select", {},
      element("option", { value: "forward", text: "later times" }), element("option", { value: "backward", text: "earlier times" }));
    this.count = element("input", { type: "number", min: 1, placeholder: "all" });
    this.root = element("div", { role: "group", "aria-label": "carry volumes" },
      element("p", { class: "sam2-hint", text: "From the time that is shown, whole volumes:" }),
      labelled("to", this.direction), labelled("number of times", this.count), form.root,
      element("div", { class: "sam2-tools" },
        button("Carry", () => view.act("carry"), { name: "carry the chosen object's volume to other times", key: view.keyMap.label("carry"), "data-action": "carry" }),
        button("Carry all", () => this.start(null), { name: "carry all objects' volumes to other times" })));
  }

  /** @param objects ids, or null for all that have masks at this time */
  start(objects) {
    // where there is no time to carry along Python says so
    return this.view.ask("carry", {
      objects, frame: this.view.store.get("frame"), direction: this.direction?.value ?? "forward",
      count: this.count?.value ? Number(this.count.value) : null, options: this.values,
    });
  }
}
return { CarryPanel };
})();

const module_preset_choice = (() => {
// How the model looks at frames, and how long a propagation would take either way.

const { button, element, labelled } = module_dom;
const { duration } = module_job_list;

class PresetChoice {
  /**
   * @param presets [{name, label, summary}] @param choose called with a name; resolves with null if it was refused
   * @param ask for how long it takes
   */
  constructor(presets, choose, ask) {
    this.presets = presets;
    this.current = presets[0].name;
    this.select = element("select", {
      title: "for clicks and propagations from now on; what was found one way can be corrected the other",
      onchange: async () => {
        if (!(await choose(this.select.value))) this.show(this.current);
      },
    }, ...presets.map((one) => element("option", { value: one.name, text: one.label, title: one.summary })));
    this.told = element("output", { class: "sam2-hint sam2-estimate" });
    this.root = element("div", {},
      labelled("look at", this.select, button("How long?", ask, { name: "tell how long it would take to propagate all objects" })),
      this.told);
  }

  show(name) {
    this.current = name;
    this.select.value = name;
  }

  /** Say how long it takes: {name: seconds}. */
  tell(seconds) {
    this.told.textContent = estimateInWords(this.presets, seconds);
  }
}

/** Of close-ups it is the most: objects that lie together share one. */
function estimateInWords(presets, seconds) {
  const known = presets.filter(({ name }) => seconds[name] !== undefined);
  if (!known.length) return "nothing is known of how long it takes";
  const most = (name) => (seconds[name] < 1 ? "at most 1 s" : `${name === "crops" ? "up to" : "about"} ${duration(seconds[name])}`);
  return known.map(({ name, label }) => `${label}: ${most(name)}`).join("; ");
}
return { PresetChoice, estimateInWords };
})();

const module_review_panel = (() => {
// The review queue: which masks look wrong, the worst first.

const { button, element, labelled } = module_dom;
const { frameInWords } = module_frame_grid;

const SHOWN = 5;

class ReviewPanel {
  /** @param view AnnotationView */
  constructor(view) {
    this.view = view;
    this.items = [];
    this.isCurrent = false;
    this.text = element("p", { class: "sam2-hint", text: "Press Next for the most doubtful mask." });
    this.list = element("ol", { class: "sam2-review" });
    this.nextButton = button("Next", () => this.next(), { name: "next doubtful mask", "data-action": "next_review" });
    this.acceptButton = button("Accept", () => this.accept(), { name: "accept this mask" });
    this.opinion = element("div", {});
    this.root = element("div", {}, element("div", { class: "sam2-tools" }, this.nextButton, this.acceptButton), this.text, this.list, this.opinion);
    this.acceptButton.disabled = true;
    this.skipped = new Set();
  }

  /** Offer what there is for a second opinion: every way of propagating. */
  offer({ propagators }) {
    this.second = element("select", { title: "another way than the masks were tracked in; inward comes from both ends of the stack" },
      ...propagators.map((one) => element("option", { value: one.name, text: one.name, title: one.summary })));
    this.second.value = propagators.some((one) => one.name === "inward") ? "inward" : propagators[0]?.name;
    const start = button("Compare", () => this.view.act("compare"),
      { name: "compare: track all objects in this way too; no mask is changed", key: this.view.keyMap.label("compare"), "data-action": "compare" });
    this.opinion.replaceChildren(...(propagators.length ? [labelled("second opinion", this.second, start)] : []));
  }

  /** Have all objects tracked in another way too; once that is done the most doubtful masks are listed. */
  compare() {
    return this.view.ask("compare", { objects: null, propagator: this.second.value || "inward", frame: this.view.store.get("frame") });
  }

  /** A job has come on: whoever had the comparison made, what it has found is listed. */
  heard({ kind, state }) {
    if (kind === "compare" && state === "done") this.refresh();
  }

  /** Something changed: the order may be another one now. */
  outdate() {
    this.isCurrent = false;
  }

  async refresh() {
    const answer = await this.view.ask("review", { count: SHOWN + this.skipped.size });
    if (!answer) return;
    this.items = answer.items.filter((item) => !this.skipped.has(keyOf(item)));
    this.isCurrent = true;
    this.text.textContent = this.items.length ? `${answer.total} doubtful masks` : "Nothing looks doubtful.";
    this.root.dataset.total = answer.total;
    this.list.replaceChildren(...this.items.slice(0, SHOWN).map((item) => element("li", {}, element("button", {
      type: "button", class: "sam2-object-name", text: this._words(item), onclick: () => this._show(item),
    }))));
  }

  async next() {
    if (this.current) this.skipped.add(keyOf(this.current));
    await this.refresh();
    const [item] = this.items;
    if (item) this._show(item);
    else this._forget();
  }

  async accept() {
    if (!this.current) return;
    const { object, frame } = this.current;
    if (await this.view.ask("accept", { object, frame })) await this.next();
  }

  _show(item) {
    this.current = item;
    this.acceptButton.disabled = false;
    this.view.select(item.object);
    this.view.go(item.frame);
    this.view.status.textContent = this._words(item);
  }

  _forget() {
    this.current = null;
    this.skipped.clear();
    this.acceptButton.disabled = true;
  }

  _words(item) {
    const name = this.view.objects.find((one) => one.id === item.object)?.name ?? `object ${item.object}`;
    return `${name}, ${frameInWords(item.frame, this.view.about.axes)}: ${item.reasons.join(", ")}`;
  }
}

function keyOf(item) {
  return `${item.object}/${item.frame}`;
}
return { ReviewPanel };
})();

const module_training_panel = (() => {
// Fine-tuning: choose a recipe and how long it may take, start it, watch its curves, stop it, and see which model is used.

const { button, element, labelled } = module_dom;
const { OptionForm } = module_option_form;

const WIDTH = 250;
const HEIGHT = 110;
const FOOT = 16;

class TrainingPanel {
  /** @param view AnnotationView @param about {recipes: [{name, summary, options}], budget} */
  constructor(view, { recipes, budget }) {
    this.view = view;
    this.recipes = recipes;
    this.values = {};
    this.told = null;
    this.latestPicture = 0;
    this.form = new OptionForm((values) => (this.values = values));
    this.choice = element("select", { onchange: () => this._chosen() },
      ...recipes.map((recipe) => element("option", { value: recipe.name, text: recipe.name, title: recipe.summary })));
    this.summary = element("p", { class: "sam2-hint" });
    this.budget = element("input", { type: "text", value: budget, size: 8 });
    this.masks = element("select", {}, element("option", { value: "accepted", text: "accepted masks" }),
      element("option", { value: "all", text: "all masks" }));
    this.holdBack = element("input", { type: "checkbox" });
    this.holdBack.checked = true;
    this.name = element("input", { type: "text", placeholder: "chosen for you" });
    this.startButton = button("Fine-tune", () => this.start(),
      { name: "fine-tune the model on the masks", key: view.keyMap.label("train"), "data-action": "train" });
    this.stopButton = button("Stop", () => this.stop(), { name: "stop fine-tuning and keep the best" });
    this.curve = element("canvas", {
      class: "sam2-curve", width: WIDTH, height: HEIGHT, role: "img", "aria-label": "nothing was trained yet", hidden: true,
    });
    this.picture = element("canvas", { class: "sam2-preview", role: "img", "aria-label": "preview", hidden: true });
    this.legend = element("p", { class: "sam2-hint", hidden: true, text: "preview: said is green, true is red, both are yellow" });
    this.outcome = element("p", { class: "sam2-outcome", role: "status" });
    this.model = element("p", { class: "sam2-hint sam2-model" });
    this.root = element("div", { class: "sam2-training" }, this.model,
      labelled("recipe", this.choice), this.summary, labelled("time budget", this.budget), labelled("learn from", this.masks),
      labelled("hold frames back to validate", this.holdBack), labelled("name of the new model", this.name), this.form.root,
      element("div", { class: "sam2-tools" }, this.startButton, this.stopButton),
      this.outcome, this.curve, this.picture, this.legend);
    this._chosen();
    this._showState();
  }

  start() {
    this.root.closest("details").open = true;
    return this.view.ask("train", {
      recipe: this.choice.value, budget: this.budget.value, masks: this.masks.value, hold_back: this.holdBack.checked,
      name: this.name.value, options: this.values,
    });
  }

  stop() {
    // a button that cannot be pressed would lose the focus to the notebook
    this.view.stage.focus({ preventScroll: true });
    return this.view.ask("job", { id: this.told.job, do: "stop" });
  }

  /** How it goes, as Python says it; with a preview where there is a new one. */
  async show(told, buffers = []) {
    const isOther = told.job !== this.told?.job;
    this.told = told;
    if (isOther) {
      this.latestPicture = 0;
      for (const part of [this.picture, this.legend]) part.hidden = true;
    }
    this._showState();
    this._paint();
    if (!buffers.length) return;
    try {
      const bitmap = await createImageBitmap(new Blob([buffers[0]], { type: "image/jpeg" }));
      // an earlier one may take longer to decode
      if (told.job !== this.told.job || told.pictures < this.latestPicture) return;
      this.latestPicture = told.pictures;
      this.picture.width = bitmap.width;
      this.picture.height = bitmap.height;
      this.picture.getContext("2d").drawImage(bitmap, 0, 0);
      bitmap.close();
      this.picture.hidden = this.legend.hidden = false;
      this.picture.dataset.number = told.pictures;
      this.picture.setAttribute("aria-label", `preview of a frame that was held back, after ${told.step} steps`);
    } catch (error) {
      this.view.report(error);
    }
  }

  _chosen() {
    this.values = {};
    const recipe = this.recipes[this.choice.selectedIndex];
    this.summary.textContent = recipe?.summary ?? "";
    this.form.show(recipe?.options ?? []);
  }

  _showState() {
    const told = this.told;
    const isActive = Boolean(told?.job) && ["waiting", "running", "paused"].includes(told.state);
    this.startButton.disabled = isActive || !this.recipes.length;
    this.stopButton.disabled = !isActive || told.is_stopping;
    this.model.textContent = told?.model ? `model in use: ${told.model}` : "";
    this.outcome.textContent = told?.job ? outcomeOf(told, isActive) : "";
    this.root.dataset.state = told?.state ?? "none";
    this.root.dataset.model = told?.model ?? "";
  }

  _paint() {
    const { losses = [], ious = [], step = 0 } = this.told;
    this.curve.dataset.losses = losses.length;
    this.curve.dataset.ious = ious.length;
    this.curve.hidden = !losses.length && !ious.length;
    if (this.curve.hidden) return;
    const ratio = globalThis.devicePixelRatio || 1;
    this.curve.width = Math.round(WIDTH * ratio);
    this.curve.height = Math.round(HEIGHT * ratio);
    const context = this.curve.getContext("2d");
    context.scale(ratio, ratio);
    const style = getComputedStyle(this.root);
    const colours = { loss: style.getPropertyValue("--sam2-accent") || "#0b66c3", iou: style.getPropertyValue("--sam2-iou") || "#1b7f3b" };
    const most = Math.max(...losses.map((point) => point[1]), Number.MIN_VALUE);
    const last = Math.max(1, step);
    const line = (points, top, colour, dots) => {
      context.strokeStyle = context.fillStyle = colour;
      context.lineWidth = 1.5;
      context.beginPath();
      for (const [at, value] of points) {
        const x = 4 + (at / last) * (WIDTH - 8);
        const y = HEIGHT - FOOT - 4 - (value / top) * (HEIGHT - FOOT - 8);
        context.lineTo(x, y);
        if (dots) context.fillRect(x - 2, y - 2, 4, 4);
      }
      context.stroke();
    };
    line(losses, most, colours.loss, false);
    line(ious, 1, colours.iou, true);
    context.font = "11px sans-serif";
    const words = wordsOf(losses, ious, step);
    let x = 2;
    for (const [text, colour] of words) {
      context.fillStyle = colour ? colours[colour] : style.color;
      context.fillText(text, x, HEIGHT - 3);
      x += context.measureText(text).width + 10;
    }
    this.curve.setAttribute("aria-label", words.map(([text]) => text).join(", "));
  }
}

function wordsOf(losses, ious, step) {
  const words = [[`step ${step}`, ""]];
  if (losses.length) words.push([`loss ${losses.at(-1)[1].toPrecision(3)}`, "loss"]);
  if (ious.length) words.push([`validation IoU ${ious.at(-1)[1].toFixed(3)}`, "iou"]);
  return words;
}

/** What there is to say of a training. */
function outcomeOf({ state, base, before, best, new_model: made, is_used: isUsed, is_stopping: isStopping }, isActive) {
  if (isActive) return isStopping ? "stopping; the best so far is kept" : `learning, from ${base}`;
  if (state === "cancelled") return "cancelled; nothing was kept";
  if (state === "failed") return "it failed; the model in use is the one from before";
  const gain = before === null ? "" : `: one-click IoU ${before.toFixed(3)} before, ${best.toFixed(3)} now`;
  return `${made} is ready${isUsed ? ", and is used from now on" : ""}${gain}`;
}
return { TrainingPanel };
})();

const module_side_panels = (() => {
// What stands beside the image besides the objects: display, propagation, review, fine-tuning, saving, and the keys.

const { CarryPanel } = module_carry_panel;
const { button, element, labelled, section } = module_dom;
const { OptionForm } = module_option_form;
const { PresetChoice } = module_preset_choice;
const { ReviewPanel } = module_review_panel;
const { TrainingPanel } = module_training_panel;

class SidePanels {
  /** @param view AnnotationView */
  constructor(view) {
    this.view = view;
    this.store = view.store;
    this.root = element("div", {});
    this.help = element("div", { class: "sam2-help", role: "dialog", "aria-label": "keys", tabindex: -1, hidden: true });
    this.review = new ReviewPanel(view);
    this.propagationOptions = {};
    this.everythingValues = {};
    this.training = null;
    this.preset = null;
  }

  setUp(about, keyMap) {
    this.about = about;
    const parts = [section("Display", false, ...this._display(about))];
    this.carrying = new CarryPanel(this.view, about.carrying);
    this.review.offer(about);
    this.preset = null;
    if (about.can_segment) {
      parts.push(section("Propagation", false, ...this._propagation(about)));
      const form = new OptionForm((values) => (this.everythingValues = values));
      form.show(about.everything);
      parts.push(section("Segment everything", false, form.root));
    }
    parts.push(section("Review", false, this.review.root));
    this.training = about.can_segment ? new TrainingPanel(this.view, about) : null;
    if (this.training) parts.push(section("Fine-tuning", false, this.training.root));
    if (!about.read_only) parts.push(section("Save", false, ...this._saving(about)));
    this.root.replaceChildren(...parts);
    const rows = keyMap.help().map(([key, what]) => element("tr", {}, element("th", { scope: "row" }, element("kbd", { text: key })), element("td", { text: what })));
    const mouse = [
      ["click", "object; right or Alt+click: background"], ["drag", "with the point tool: a box; a point: moves it"],
      ["Shift+drag", "move the image"], ["wheel", "zoom"], ["Ctrl+click", "choose the object there"], ["Shift+click", "take a point away"],
    ].map(([key, what]) => element("tr", {}, element("th", { scope: "row", text: key }), element("td", { text: what })));
    this.help.replaceChildren(
      button("✕", () => this.closeHelp(), { name: "close the list of keys" }),
      element("table", {}, element("caption", { text: "Keys, while the widget has the focus" }), element("tbody", {}, ...rows, ...mouse)),
    );
    this.refresh();
  }

  // Help

  toggleHelp() {
    this.help.hidden = !this.help.hidden;
    if (!this.help.hidden) this.help.focus();
    else this.view.stage.focus();
  }

  closeHelp() {
    if (this.help.hidden) return false;
    this.toggleHelp();
    return true;
  }

  // Display

  _display(about) {
    this.opacity = element("input", {
      type: "range", min: 0, max: 1, step: 0.05, oninput: () => this.store.set({ opacity: Number(this.opacity.value) }),
    });
    this.channels = about.channels.map((channel, i) => this._channel(channel, i, about.channels.length > 1));
    this.positions = about.positions.map((position) => this._position(position));
    return [
      ...this.positions.map((one) => one.root), labelled("opacity of masks", this.opacity),
      ...this.channels.map((one) => one.root),
      button("Reset contrast", () => this.store.set({ contrast: [], channels: [] })),
    ];
  }

  _channel(channel, i, several) {
    const [low, high] = channel.range;
    const step = (high - low) / 1000;
    const change = () => {
      const limits = this.about.channels.map((one, j) => this.store.get("contrast")?.[j] ?? one.limits);
      const values = [Number(made.low.value), Number(made.high.value)];
      if (values[0] < values[1]) this.store.set({ contrast: limits.map((known, j) => (j === i ? values : known)) });
    };
    const slider = (name) => element("input", {
      type: "range", min: low, max: high, step, "aria-label": `${name} of channel ${channel.name}`, oninput: change,
    });
    const made = { low: slider("black"), high: slider("white") };
    made.shown = element("input", {
      type: "checkbox",
      onchange: () => {
        const shown = this.about.channels.map((_, j) => this.store.get("channels")?.[j] !== false);
        shown[i] = made.shown.checked;
        this.store.set({ channels: shown });
      },
    });
    made.root = element("fieldset", { class: "sam2-channel" },
      element("legend", { text: several ? `channel ${channel.name}` : "contrast" }),
      several ? labelled("shown", made.shown) : null, made.low, made.high);
    return made;
  }

  _position({ axis, length, position }) {
    const made = { axis, length };
    made.slider = element("input", {
      type: "range", min: 0, max: length - 1, step: 1, value: position,
      onchange: async () => {
        const done = await this.view.ask("move", { axis, position: Number(made.slider.value) });
        if (!done) made.slider.value = position;
      },
    });
    made.root = labelled(`${axis} (0 to ${length - 1})`, made.slider);
    return made;
  }

  stepPosition(step) {
    const [one] = this.positions ?? [];
    if (!one) {
      this.view.go(this.view.stepped(step, 1));
      return;
    }
    const to = Number(one.slider.value) + step;
    if (to >= 0 && to < one.length) this.view.ask("move", { axis: one.axis, position: to });
  }

  refresh() {
    if (!this.about) return;
    this.opacity.value = this.store.get("opacity");
    this.channels.forEach((made, i) => {
      const [low, high] = this.store.get("contrast")?.[i] ?? this.about.channels[i].limits;
      made.low.value = low;
      made.high.value = high;
      made.shown.checked = this.store.get("channels")?.[i] !== false;
    });
  }

  // Propagation, everything

  _propagation(about) {
    const form = new OptionForm((values) => (this.propagationOptions = values));
    this.propagator = element("select", {
      onchange: () => {
        this.propagationOptions = {};
        form.show(about.propagators[this.propagator.selectedIndex].options);
      },
    }, ...about.propagators.map((one) => element("option", { value: one.name, text: one.name, title: one.summary })));
    this.count = element("input", { type: "number", min: 1, placeholder: "all" });
    form.show(about.propagators[0]?.options ?? []);
    this.preset = new PresetChoice(about.presets, (preset) => this.view.ask("preset", { preset }),
      () => this.view.ask("estimate", { objects: null, ...this.propagation() }));
    this.along = about.axes.length < 2 ? null : element("select", {},
      ...[...about.axes].reverse().map(({ axis }) => element("option", { value: axis, text: `${axis}, from this frame` })));
    return [this.along && labelled("along", this.along), labelled("how", this.propagator), labelled("frames each way", this.count), form.root, this.preset.root, this.carrying.root];
  }

  propagation() {
    return {
      propagator: this.propagator.value, count: this.count.value ? Number(this.count.value) : null,
      options: this.propagationOptions,
      // of frames along two axes those on a line through this one
      ...(this.along ? { along: this.along.value, start: this.store.get("frame") } : {}),
    };
  }

  everythingOptions() {
    return this.everythingValues;
  }

  // Saving

  _saving(about) {
    this.path = element("input", { type: "text", value: about.save_path });
    this.format = element("select", {}, element("option", { value: "", text: "by the name" }),
      ...about.formats.map((name) => element("option", { value: name, text: name })));
    this.overwrite = element("input", { type: "checkbox" });
    return [
      labelled("file or folder, where the kernel is", this.path), labelled("format", this.format),
      labelled("replace what is there", this.overwrite), button("Save labels", () => this.save()),
    ];
  }

  async save() {
    const answer = await this.view.ask("save", {
      path: this.path.value, format: this.format.value || null, overwrite: this.overwrite.checked,
    });
    if (answer) this.view.status.textContent = `saving to ${answer.path}`;
  }
}
return { SidePanels };
})();

const module_theme = (() => {
// Whether the notebook is dark. Each host says it in its own way, on elements that a style sheet in a shadow root cannot see.

const DARK = "[data-jp-theme-light='false'], .dark, .vscode-dark, .vscode-high-contrast, [theme='dark']";
const LIGHT = "[data-jp-theme-light='true'], .light, .vscode-light, .vscode-high-contrast-light, [theme='light']";

/** Whether the nearest element around that says anything says dark; `otherwise` where none does. */
function isDark(node, otherwise) {
  const nodes = [];
  for (let around = node; around; around = around.parentElement ?? around.getRootNode().host ?? null) nodes.push(around);
  // hosts fill an element before they put it into the page
  for (const around of [...nodes, document.body, document.documentElement]) {
    if (around.matches(LIGHT)) return false;
    if (around.matches(DARK)) return true;
  }
  return otherwise;
}

/** Keeps `data-theme` of an element as the notebook is. */
class Theme {
  /** @param onChange called when it has changed */
  constructor(root, onChange) {
    this.root = root;
    this.onChange = onChange;
    this.system = matchMedia("(prefers-color-scheme: dark)");
    this.look = () => this._look();
    this.system.addEventListener("change", this.look);
    this.observer = new MutationObserver(this.look);
    for (const node of [document.documentElement, document.body]) {
      this.observer.observe(node, { attributes: true, attributeFilter: ["class", "data-jp-theme-light", "theme"] });
    }
    this._look();
  }

  close() {
    this.observer.disconnect();
    this.system.removeEventListener("change", this.look);
  }

  _look() {
    const theme = isDark(this.root, this.system.matches) ? "dark" : "light";
    if (this.root.dataset.theme === theme) return;
    this.root.dataset.theme = theme;
    this.onChange();
  }
}
return { isDark, Theme };
})();

const module_view = (() => {
// The annotation view: everything a person sees and does. It knows a store of values, a client that asks Python, and
// nothing of Jupyter.

const { commandsOf } = module_commands;
const { button, element, section, setPressed } = module_dom;
const { Drawing } = module_drawing;
const { FrameStrip } = module_frame_strip;
const { movedTo, placesOf } = module_frame_grid;
const { clamp, fitView, keepInSight, panBy, zoomAt } = module_geometry;
const { ImageSource } = module_image_source;
const { JobList } = module_job_list;
const { KeyMap } = module_keys;
const { MaskBook } = module_masks;
const { ObjectList } = module_object_list;
const { OptionForm } = module_option_form;
const { Painter, tilesToDraw } = module_painter;
const { SidePanels } = module_side_panels;
const { Theme } = module_theme;

const OVERVIEW_DELAY_MS = 120;
const LINK_WORDS = {
  waiting: "Waiting for the kernel: it is busy, or gone. What you do is done once it answers.",
  unheard: "The kernel has not answered yet. If this notebook was just opened, run the cell that made this widget.",
  gone: "The kernel is gone. Nothing here can be changed; run the cell that made this widget again.",
};

class AnnotationView {
  /**
   * @param root element to fill
   * @param store {get(name), set({name: value}), on(name, callback, signal)}: frame, selected, tool, positive, opacity,
   *   hidden, contrast, channels, tool_options, height, key_map
   * @param client Client
   */
  constructor(root, store, client, signal) {
    this.store = store;
    this.client = client;
    this.root = root;
    this.signal = signal;
    this.about = null;
    this.objects = [];
    this.overview = [];
    this.strips = [];
    this.prompts = new Map();
    this.book = new MaskBook();
    this.viewport = null;
    this.shownFrame = null;
    this.showMasks = true;
    this.drawing = new Drawing(this);
    this.keyMap = new KeyMap();
    this._build();
    this.image = new ImageSource(client, () => this.changed());
    this._listen();
  }

  // Beginning and end

  /** Ask Python what there is, and show it; also to begin anew after a connection was lost. */
  async start() {
    try {
      const { payload } = await this.client.request("hello");
      this._setUp(payload);
    } catch (error) {
      this.report(error);
    }
  }

  close() {
    this.image.close();
    this.client.close();
    this.observer.disconnect();
    this.theme.close();
    cancelAnimationFrame(this.scheduled);
    clearTimeout(this.overviewTimer);
  }

  _setUp({ about, state, seq }) {
    const before = this.about;
    const isNew = !before || before.session !== about.session;
    this.about = about;
    if (isNew) {
      this.book.clear();
      this.prompts.clear();
      this.drawing.pendingDrawings.clear();
      this.stateSeq = undefined;
      this.shownFrame = null;
      if (!before || before.width !== about.width || before.height !== about.height) this.viewport = null;
    }
    this.keyMap = new KeyMap(about.tools, this.store.get("key_map") ?? {});
    this.strips = about.axes.map(({ axis, length }, i) =>
      new FrameStrip((place) => this.go(movedTo(this.store.get("frame"), about.axes, i, place)), axis, length));
    this.stripBox.replaceChildren(...this.strips.map((one) => one.root));
    this.stage.setAttribute("aria-label", `${about.name}, ${about.width} by ${about.height} pixels; press ? for keys`);
    this._buildTools();
    this.panels.setUp(about, this.keyMap);
    this._takeState(state, seq);
    if (about.can_segment) this._needTraining();
    this._resized();
    this._frameChanged();
  }

  // The parts

  _build() {
    this.root.classList.add("sam2-widget");
    this.root.setAttribute("role", "region");
    this.root.setAttribute("aria-label", "SAM 2 annotation");
    this.root.dataset.lmSuppressShortcuts = "true";
    this.canvas = element("canvas", { class: "sam2-canvas" });
    this.stage = element("div", { class: "sam2-stage", tabindex: 0, role: "application", "aria-label": "image" }, this.canvas);
    this.tools = element("div", { class: "sam2-tools", role: "group", "aria-label": "tools" });
    this.actions = element("div", { class: "sam2-tools", role: "group", "aria-label": "actions" });
    this.message = element("div", { class: "sam2-message", role: "alert" });
    this.status = element("div", { class: "sam2-status", role: "status" });
    this.linkNote = element("div", { class: "sam2-link", role: "status", hidden: true });
    this.stripBox = element("div", {});
    this.options = new OptionForm((values) => this._keepOptions(values));
    this.jobs = new JobList((id, what) => this.ask("job", { id, do: what }), (text, details) => this.say(text, details), this.stage);
    this.list = new ObjectList({
      select: (id) => this.select(id, { jump: true }),
      toggle: (id) => this._toggle(id),
      change: (id, values) => this.ask("change_object", { object: id, ...values }),
      remove: (id) => this.ask("delete_objects", { objects: [id] }),
    }, this.stage);
    this.panels = new SidePanels(this);
    this.root.append(
      this.linkNote,
      element("div", { class: "sam2-bar", role: "toolbar", "aria-label": "prompts and actions" }, this.tools, this.actions),
      this.options.root,
      element("div", { class: "sam2-main" },
        element("div", { class: "sam2-left" }, this.stage, this.stripBox, this.jobs.root, this.message, this.status),
        element("div", { class: "sam2-side" }, section("Objects", true, this.list.root), this.panels.root)),
      this.panels.help,
    );
    this.painter = new Painter(this.canvas);
  }

  _buildTools() {
    const { about, keyMap } = this;
    const key = (action) => keyMap.label(action);
    this.toolButtons = about.tools.map((tool) =>
      button(tool.name, () => this.chooseTool(tool.name), {
        name: `${tool.name}: ${tool.summary}`, key: key(`tool:${tool.name}`), pressed: false, "data-tool": tool.name,
      }));
    this.signButton = button("+ object", () => this.act("sign"), { name: "+ object", key: key("sign"), pressed: true });
    this.tools.replaceChildren(...this.toolButtons, this.signButton);
    const make = (label, action, name) => button(label, () => this.act(action), { name, key: key(action), "data-action": action });
    const inference = about.can_segment
      ? [make("Segment", "segment", "segment"), make("Propagate", "propagate", "propagate the chosen object"),
         make("All", "propagate_all", "propagate all objects"), make("Everything", "everything", "segment everything on this frame")]
      : [];
    this.undoButton = make("Undo", "undo", "undo");
    this.redoButton = make("Redo", "redo", "redo");
    this.actions.replaceChildren(
      make("New", "new_object", "new object"), ...inference, make("Accept", "accept", "accept the mask"),
      this.undoButton, this.redoButton, make("Fit", "fit", "fit: show the whole image"), make("Help", "help", "help: the list of keys"),
    );
    if (about.read_only) for (const made of this.actions.querySelectorAll("button")) made.disabled = !["fit", "help"].includes(made.dataset.action);
    this._toolChanged();
  }

  _listen() {
    const { signal, store } = this;
    const on = (target, name, handler, options = {}) => target.addEventListener(name, handler, { signal, ...options });
    on(this.stage, "pointerdown", (event) => this.drawing.pointerDown(event));
    on(this.stage, "pointermove", (event) => this.drawing.pointerMove(event));
    on(this.stage, "pointerup", (event) => this.drawing.pointerUp(event));
    on(this.stage, "pointercancel", () => this.drawing.cancelGesture());
    on(this.stage, "contextmenu", (event) => event.preventDefault());
    on(this.stage, "dblclick", (event) => this.drawing.doubleClick(event));
    on(this.stage, "wheel", (event) => this._wheel(event), { passive: false });
    // Jupyter looks at the element with the focus first, and takes its key before it sees what the element lies in
    on(this.root, "focusin", (event) => (event.target.dataset.lmSuppressShortcuts = "true"));
    on(this.root, "keydown", (event) => this._key(event));
    for (const name of ["keyup", "keypress", "copy", "paste", "cut"]) on(this.root, name, (event) => event.stopPropagation());
    store.on("frame", () => this._frameChanged(), signal);
    store.on("selected", () => this._selectedChanged(), signal);
    for (const name of ["tool", "positive", "tool_options"]) store.on(name, () => this._toolChanged(), signal);
    for (const name of ["opacity", "hidden", "contrast", "channels"]) {
      store.on(name, () => {
        this.panels.refresh();
        this._showObjects();
        this._look();
        this.changed();
      }, signal);
    }
    store.on("height", () => this._resized(), signal);
    store.on("key_map", () => this.about && this._setUp({ about: this.about, state: this.state, seq: this.stateSeq }), signal);
    this.theme = new Theme(this.root, () => {
      this._paintStrips();
      this.changed();
    });
    this.observer = new ResizeObserver(() => this._resized());
    this.observer.observe(this.stage);
    this.client.onEvent = (kind, payload, buffers, seq) => this._event(kind, payload, buffers, seq);
    this.client.onLink = (link) => this._linkChanged(link);
    this._linkChanged(this.client.link);
  }

  // What Python says

  _event(kind, payload, buffers, seq) {
    if (!this.about) return;
    if (kind === "changed") {
      this.book.outdate(payload.frames?.filter((frame) => frame !== payload.inline?.frame) ?? null, seq);
      if (payload.inline) this.book.take(payload.inline, buffers);
      if (payload.inline_prompts) this._takePrompts(payload.inline_prompts);
      if (payload.state) this._takeState(payload.state, seq);
      else this._overviewLater();
      this._needMasks();
      this.changed();
    } else if (kind === "job") {
      this.jobs.show(payload);
      this.panels.review.heard(payload);
      if (payload.seconds) this.panels.preset?.tell(payload.seconds);
      this._refreshState();
    } else if (kind === "training") {
      this.panels.training?.show(payload, buffers);
    } else if (kind === "session") {
      this.start();
    } else if (kind === "message") {
      this.say(payload.message, payload.details);
    }
  }

  _takeState(state, seq) {
    if (this.stateSeq !== undefined && seq < this.stateSeq) return;
    this.stateSeq = seq;
    this.state = state;
    this.objects = state.objects;
    this.overview = state.overview;
    const selected = this.store.get("selected");
    const isGone = selected && !state.objects.some((one) => one.id === selected);
    if (isGone && !this.about.read_only) this.store.set({ selected: 0 });
    this.undoButton.disabled = !state.undo || this.about.read_only;
    this.redoButton.disabled = !state.redo || this.about.read_only;
    this.undoButton.title = state.undo ? `undo: ${state.undo} (${this.keyMap.label("undo")})` : "nothing to undo";
    this.redoButton.title = state.redo ? `redo: ${state.redo} (${this.keyMap.label("redo")})` : "nothing to redo";
    this.jobs.setAll(state.jobs);
    this.panels.preset?.show(state.preset);
    this._showObjects();
    this._paintStrips();
    this.panels.review.outdate();
  }

  _takePrompts({ frame, prompts }) {
    this.prompts.set(frame, prompts);
    this.drawing.pendingDrawings.settle(frame);
    if (this.prompts.size > 32) this.prompts.delete(this.prompts.keys().next().value);
  }

  async _needTraining() {
    try {
      const { payload, buffers } = await this.client.request("training");
      this.panels.training?.show(payload, buffers);
    } catch (error) {
      this.report(error);
    }
  }

  _overviewLater() {
    if (this.overviewTimer) return;
    this.overviewTimer = setTimeout(async () => {
      this.overviewTimer = null;
      try {
        const { payload } = await this.client.request("state", { selected: this.store.get("selected"), frame: this.store.get("frame") });
        this._takeState(payload.state, payload.seq);
      } catch (error) {
        this.report(error);
      }
    }, OVERVIEW_DELAY_MS);
  }

  async _needMasks() {
    const frame = this.store.get("frame");
    if (!this.about || this.asking?.frame === frame || (this.book.isCurrent(frame) && this.prompts.has(frame))) return;
    this.asking?.controller.abort();
    const asking = { frame, controller: new AbortController() };
    this.asking = asking;
    try {
      const { payload, buffers } = await this.client.request("frame", { frame }, { signal: asking.controller.signal });
      this.book.take(payload.masks, buffers);
      this._takePrompts(payload.prompts);
      this._showObjects();
      this.changed();
    } catch (error) {
      this.report(error);
      return;
    } finally {
      if (this.asking === asking) this.asking = null;
    }
    // it may have changed while the answer was on its way
    this._needMasks();
  }

  _linkChanged(link) {
    this.linkNote.hidden = link === "ok";
    this.linkNote.textContent = LINK_WORDS[link === "waiting" && !this.about ? "unheard" : link] ?? "";
    if (link === "gone") this.drawing.cancelGesture();
    this.root.dataset.link = link;
    if (link === "ok" && this.about && this.wasGone) this.start();
    this.wasGone = link === "gone";
    this._refreshState();
  }

  /** Ask Python for something; what goes wrong is shown. Resolves with the answer's payload, or null. */
  async ask(kind, payload) {
    try {
      const { payload: answer } = await this._tracked(this.client.request(kind, payload));
      return answer;
    } catch (error) {
      this.report(error);
      return null;
    }
  }

  async _tracked(promise) {
    this._refreshState();
    try {
      return await promise;
    } finally {
      queueMicrotask(() => this._refreshState());
    }
  }

  report(error) {
    if (error.name === "Cancelled" || error.name === "KernelGone") return;
    this.say(error.message, error.details ?? "");
  }

  say(text, details = "") {
    this.message.replaceChildren(
      element("span", { text }),
      details ? element("details", {}, element("summary", { text: "more" }), element("pre", { text: details })) : "",
      button("✕", () => {
        this.stage.focus({ preventScroll: true });
        this.message.replaceChildren();
      }, { name: "close the message" }),
    );
  }

  // The frame and the image

  go(frame) {
    if (!this.about) return;
    this.store.set({ frame: clamp(Math.round(frame), 0, this.about.frames - 1) });
  }

  /** The frame a number of steps away on an axis, counted from the last one; the same where there is no such axis. */
  stepped(steps, axisFromLast = 0) {
    const { axes } = this.about;
    const number = axes.length - 1 - axisFromLast;
    const frame = this.store.get("frame");
    return number < 0 ? frame : movedTo(frame, axes, number, placesOf(frame, axes)[number] + steps);
  }

  _paintStrips() {
    const colour = this._colourOf(this.store.get("selected"));
    this.strips.forEach((strip, i) => this.overview[i] && strip.paint(this.overview[i], colour));
  }

  _frameChanged() {
    if (!this.about) return;
    const frame = this.store.get("frame");
    this.drawing.cancelGesture();
    const places = placesOf(frame, this.about.axes);
    this.strips.forEach((strip, i) => strip.show(places[i]));
    // what the last axis shows belongs to a place on the other one
    if (places.length > 1 && places[0] !== this.seenFrom) this._overviewLater();
    this.seenFrom = places[0];
    this._needMasks();
    this._showObjects();
    this._look();
    this.changed();
  }

  _look() {
    if (!this.about || !this.viewport) return;
    this.image.look({
      frame: this.store.get("frame"), view: this.viewport, canvas: this.painter.size, image: this.about,
      ratio: this.painter.ratio, levels: this.about.levels, tileSize: this.about.tile_size,
      limits: this._limits(), frameCount: this.about.frames, position: this.about.session,
    });
  }

  _limits() {
    const chosen = this.store.get("contrast");
    const limits = this.about.channels.map((channel, i) => chosen?.[i] ?? channel.limits);
    // the same array for the same limits, so that it can be told cheaply that nothing changed
    if (JSON.stringify(limits) !== JSON.stringify(this.limits)) this.limits = limits;
    return this.limits;
  }

  _resized() {
    if (!this.about) return;
    this.stage.style.height = `${this.store.get("height")}px`;
    const width = this.stage.clientWidth;
    if (!width) return;
    const before = this.painter.size;
    const changed = this.painter.resize(width, this.stage.clientHeight, globalThis.devicePixelRatio || 1);
    if (!this.viewport || (changed && this.isFitted)) this.fit();
    else if (changed) this.setViewport(panBy(this.viewport, (width - before.width) / 2, 0));
    this._paintStrips();
    this.changed();
  }

  fit() {
    this.setViewport(fitView(this.about, this.painter.size));
    this.isFitted = true;
  }

  setViewport(viewport) {
    this.isFitted = false;
    this.viewport = keepInSight(viewport, this.about, this.painter.size);
    this._look();
    this.changed();
  }

  changed() {
    this._refreshState();
    if (this.scheduled) return;
    this.scheduled = requestAnimationFrame(() => {
      this.scheduled = null;
      this._paint();
    });
  }

  _paint() {
    if (!this.about || !this.viewport || !this.image.place) return;
    const frame = this.store.get("frame");
    if (this.shownFrame !== frame && this.image.isAtHand(frame)) this.shownFrame = frame;
    const shown = this.shownFrame ?? frame;
    const selected = this.store.get("selected");
    const hidden = new Set(this.store.get("hidden"));
    const masks = [...this.book.masks(shown)]
      .filter(([id]) => !hidden.has(id) && this._colourOf(id))
      .sort(([a], [b]) => (a === selected) - (b === selected))
      .map(([id, mask]) => ({ id, mask, colour: this._colourOf(id) }));
    const prompts = (this.prompts.get(shown) ?? []).filter((prompt) => !hidden.has(prompt.object))
      .map((prompt) => ({ ...prompt, selected: prompt.object === selected }));
    if (this.drawing.drag?.kind === "point") {
      const dragged = prompts.find((prompt) => prompt.object === selected);
      if (dragged) dragged.points = this.drawing.drag.points;
    }
    this.painter.paint({
      background: getComputedStyle(this.root).getPropertyValue("--sam2-stage").trim() || "#202020",
      image: this.about, view: this.viewport, tileSize: this.about.tile_size, limits: this._limits(),
      shownChannels: this.about.channels.map((_, i) => this.store.get("channels")?.[i] !== false),
      tiles: tilesToDraw(this.image.store, shown, this.viewport, this.painter.size, this.about, this.about.tile_size),
      masks, showMasks: this.showMasks, opacity: this.store.get("opacity"), prompts,
      pending: this.drawing.pendingDrawings.pending(shown), gesture: this.drawing.gesture, cross: this.drawing.cross,
      brushRadius: this.drawing.brushRadius,
    });
    this.root.dataset.shown = this.shownFrame === null ? "" : String(this.shownFrame);
    this.root.dataset.masks = masks.map(({ id }) => id).sort((a, b) => a - b).join(" ");
    this.painted = (this.painted ?? 0) + 1;
    this._refreshState();
  }

  /** What tests and style sheets may look at. */
  _refreshState() {
    const { dataset } = this.root;
    dataset.frame = this.store.get("frame");
    dataset.selected = this.store.get("selected");
    dataset.objects = this.objects.length;
    dataset.jobs = this.jobs.active.length;
    const asks = this.client.isBusy || this.drawing.chained > 0 || this.overviewTimer || this.scheduled;
    const isBusy = !this.about || asks || !this.image?.isSharp || this.jobs.active.some((job) => job.kind === "segment");
    dataset.state = this.client.link === "gone" ? "gone" : isBusy ? "busy" : "idle";
    if (isBusy && !this.stateTimer) {
      this.stateTimer = setTimeout(() => {
        this.stateTimer = null;
        this._refreshState();
      }, 30);
    }
  }

  // Objects

  _colourOf(id) {
    return this.objects.find((one) => one.id === id)?.colour ?? null;
  }

  _showObjects() {
    const masks = this.book.masks(this.store.get("frame"));
    const records = new Map([...masks].map(([id, mask]) => [id, mask.record]));
    this.list.show(this.objects, this.store.get("selected"), new Set(this.store.get("hidden")), records);
    const one = this.objects.find((object) => object.id === this.store.get("selected"));
    this.status.textContent = one ? `${one.name} is chosen` : "the next prompt makes a new object";
  }

  _selectedChanged() {
    this._showObjects();
    this._overviewLater();
    this.changed();
  }

  select(id, { jump = false } = {}) {
    this.store.set({ selected: id });
    const one = this.objects.find((object) => object.id === id);
    if (!jump || !one) return;
    const isHere = this.book.masks(this.store.get("frame")).has(id);
    if (!isHere && one.first !== null) this.go(one.first);
  }

  step(direction) {
    const ids = this.objects.map((one) => one.id);
    if (!ids.length) return;
    const at = ids.indexOf(this.store.get("selected"));
    this.select(ids[at < 0 ? 0 : (at + direction + ids.length) % ids.length], { jump: true });
  }

  _toggle(id) {
    const hidden = new Set(this.store.get("hidden"));
    if (!hidden.delete(id)) hidden.add(id);
    this.store.set({ hidden: [...hidden].sort((a, b) => a - b) });
  }

  // Tools and drawing

  get tool() {
    return this.about.tools.find((tool) => tool.name === this.store.get("tool")) ?? this.about.tools[0];
  }

  chooseTool(name) {
    this.drawing.cancelGesture();
    this.store.set({ tool: name });
    if (this.tool.gesture === "none") this.drawing.send({ gesture: "none", positive: this.store.get("positive"), points: [] });
  }

  _toolChanged() {
    if (!this.about || !this.tool) return;
    const positive = this.store.get("positive");
    for (const made of this.toolButtons) setPressed(made, made.dataset.tool === this.tool.name);
    this.signButton.firstChild.textContent = positive ? "+ object" : "− background";
    this.signButton.setAttribute("aria-label", `${positive ? "+ object" : "− background"}: what a drawing says`);
    setPressed(this.signButton, positive);
    this.options.show(this.tool.options, this.store.get("tool_options")?.[this.tool.name] ?? {});
    this.root.dataset.tool = this.tool.name;
    this.changed();
  }

  _keepOptions(values) {
    this.store.set({ tool_options: { ...this.store.get("tool_options"), [this.tool.name]: values } });
  }

  _wheel(event) {
    // in a shadow root, as marimo has it, the document knows of its host only
    if (!this.viewport || !this.root.contains(this.root.getRootNode().activeElement)) return;
    event.preventDefault();
    event.stopPropagation();
    this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), this.drawing.at(event));
  }

  zoom(factor, screen = { x: this.painter.size.width / 2, y: this.painter.size.height / 2 }) {
    this.setViewport(zoomAt(this.viewport, factor, screen, this.about, this.painter.size));
  }

  // Keys

  _key(event) {
    // Nothing that is typed here may reach the notebook: there "d d" deletes a cell.
    event.stopPropagation();
    if (!this.about) return;
    const isTyping = event.target.matches?.("input:not([type=range]):not([type=checkbox]):not([type=color]), select, textarea");
    const action = this.keyMap.action(event);
    const isOwn = event.target.matches?.("button, summary, input, select") && ["Space", "Enter"].includes(event.code);
    const isArrow = event.target.matches?.("input[type=range]") && /^(Arrow|Home|End|Page)/.test(event.code);
    if (!action || isOwn || isArrow || (isTyping && action !== "cancel")) return;
    event.preventDefault();
    this.act(action);
  }

  act(action) {
    if (!this.about) return;
    if (this.about.read_only && !/^(frame|object|zoom|fit|masks|help|cancel|position|cursor)/.test(action)) {
      this.say("This session is open for reading only.");
      return;
    }
    const [name, argument] = action.split(":");
    if (name === "tool") this.chooseTool(argument);
    else if (name === "object") {
      const one = this.objects[Number(argument) - 1];
      if (one) this.select(one.id, { jump: true });
    } else commandsOf(this)[name]?.();
  }

  cancel() {
    if (this.panels.closeHelp() || this.drawing.cancelGesture()) return;
    const running = this.jobs.active.filter((job) => job.kind !== "encode");
    if (running.length) for (const { id, kind } of running) this.ask("job", { id, do: kind === "train" ? "stop" : "cancel" });
    else this.root.getRootNode().activeElement?.blur?.();
  }
}
return { AnnotationView };
})();

// The thin part that knows anywidget: its model holds the values that are kept, and carries the messages.

const { Client } = module_protocol;
const { AnnotationView } = module_view;

let viewCount = 0;

function storeOf(model) {
  return {
    get: (name) => model.get(name),
    set(values) {
      for (const [name, value] of Object.entries(values)) model.set(name, value);
      model.save_changes();
    },
    on(name, callback, signal) {
      model.on(`change:${name}`, callback);
      signal?.addEventListener("abort", () => model.off(`change:${name}`, callback));
    },
  };
}

function render({ model, el, signal }) {
  // hosts before anywidget 0.10 give no signal, and call what is returned instead
  const ending = new AbortController();
  signal?.addEventListener("abort", () => ending.abort());
  const view = `${Date.now().toString(36)}-${++viewCount}`;
  const client = new Client((message) => model.send(message), { view });
  const root = document.createElement("div");
  el.append(root);
  const shown = new AnnotationView(root, storeOf(model), client, ending.signal);
  const hear = (message, buffers) => client.receive(message, buffers ?? []);
  // Jupyter says so when a kernel restarts or a connection is cut
  const doubt = () => client.doubt();
  model.on("msg:custom", hear);
  model.on("comm_live_update", doubt);
  ending.signal.addEventListener("abort", () => {
    model.off("msg:custom", hear);
    model.off("comm_live_update", doubt);
    shown.close();
    root.remove();
  });
  shown.start();
  return () => ending.abort();
}

export default { render };
