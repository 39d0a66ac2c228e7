// Tiles that were fetched, the ones used last kept; and what to fetch next.

export function tileKey(frame, tile) {
  return `${frame}/${tile.level}/${tile.column}/${tile.row}`;
}

/** Keeps tiles up to a number of bytes; what was used longest ago goes first. */
export class TileStore {
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
export class TileQueue {
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
