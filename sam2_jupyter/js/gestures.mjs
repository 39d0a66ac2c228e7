// How each gesture of a prompt type is drawn: with the pointer, or with a cursor that keys move.

export const GESTURES = ["point", "box", "path", "polygon", "brush", "none"];
/** A pointer that moved less than this many screen pixels was held still. */
export const CLICK_SLACK = 4;

/** One drawing in the making. Points are image positions; `finished` is what came of it. */
export class Gesture {
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
