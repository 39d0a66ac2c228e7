// The image of the frame that is looked at: which tiles are needed, fetching them, and those of the frames beside it.

import { levelFor, visibleTiles } from "./geometry.mjs";
import { bytesOf } from "./masks.mjs";
import { TileQueue, TileStore, tileKey } from "./tiles.mjs";

const STORE_BYTES = 96 * 2 ** 20;
/** A frame that is looked at for so long is fetched without loss. */
const SETTLE_MS = 200;

export class ImageSource {
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
