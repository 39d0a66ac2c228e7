// Masks as they come from Python: a box (x0, y0, x1, y1), x1 and y1 the first pixels outside, and what is set inside.

const FILL_ALPHA = 110;

/** The bytes of a buffer, which may be a part of a larger one. */
export function bytesOf(buffer) {
  if (buffer instanceof Uint8Array) return buffer;
  if (ArrayBuffer.isView(buffer)) return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  return new Uint8Array(buffer);
}

/** Unpack run lengths, little-endian uint32, of pixels row by row: not set, set, not set, … */
export function decodeRuns(bytes, size) {
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
export function decodeBits(bytes, size) {
  if (bytes.byteLength !== Math.ceil(size / 8)) {
    throw new RangeError(`${bytes.byteLength} bytes are not enough for just ${size} pixels`);
  }
  const pixels = new Uint8Array(size);
  for (let i = 0; i < size; i++) pixels[i] = (bytes[i >> 3] >> (7 - (i & 7))) & 1;
  return pixels;
}

/** A mask from its description and its part of a buffer. */
export function decodeMask(entry, bytes) {
  const [x0, y0, x1, y1] = entry.box;
  const width = x1 - x0;
  const height = y1 - y0;
  const part = bytes.subarray(entry.offset, entry.offset + entry.length);
  const decode = { runs: decodeRuns, bits: decodeBits }[entry.packing];
  if (!decode) throw new RangeError(`masks are packed as runs or bits; got ${entry.packing}`);
  return { x: x0, y: y0, width, height, pixels: decode(part, width * height) };
}

/** Whether a mask covers an image position. */
export function covers(mask, point) {
  const column = Math.round(point.x) - mask.x;
  const row = Math.round(point.y) - mask.y;
  if (column < 0 || row < 0 || column >= mask.width || row >= mask.height) return false;
  return mask.pixels[row * mask.width + column] === 1;
}

export function areaOf(mask) {
  let area = 0;
  for (const pixel of mask.pixels) area += pixel;
  return area;
}

/** Mark the pixels of a mask that have a neighbour (of four) outside it. */
export function outline({ width, height, pixels }) {
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

export function rgbOf(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

/** RGBA of a mask: a light fill within an outline that is opaque. */
export function colourMask(mask, colour) {
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
export class MaskBook {
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
