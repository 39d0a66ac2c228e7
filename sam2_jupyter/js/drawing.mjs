// Drawing prompts: with the pointer, or with a cross that keys move; and sending what was drawn.

import { clamp, intoImage, isInside, nearest, panBy, simplify, toImage, toScreen } from "./geometry.mjs";
import { CLICK_SLACK, Gesture } from "./gestures.mjs";
import { GestureHistory } from "./history.mjs";
import { covers } from "./masks.mjs";

const POINT_REACH = 7;

export class Drawing {
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
