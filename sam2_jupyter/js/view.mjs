// The annotation view: everything a person sees and does. It knows a store of values, a client that asks Python, and
// nothing of Jupyter.

import { commandsOf } from "./commands.mjs";
import { button, element, section, setPressed } from "./dom.mjs";
import { Drawing } from "./drawing.mjs";
import { FrameStrip } from "./frame_strip.mjs";
import { movedTo, placesOf } from "./frame_grid.mjs";
import { clamp, fitView, keepInSight, panBy, zoomAt } from "./geometry.mjs";
import { ImageSource } from "./image_source.mjs";
import { JobList } from "./job_list.mjs";
import { KeyMap } from "./keys.mjs";
import { MaskBook } from "./masks.mjs";
import { ObjectList } from "./object_list.mjs";
import { OptionForm } from "./option_form.mjs";
import { Painter, tilesToDraw } from "./painter.mjs";
import { SidePanels } from "./side_panels.mjs";
import { Theme } from "./theme.mjs";

const OVERVIEW_DELAY_MS = 120;
const LINK_WORDS = {
  waiting: "Waiting for the kernel: it is busy, or gone. What you do is done once it answers.",
  unheard: "The kernel has not answered yet. If this notebook was just opened, run the cell that made this widget.",
  gone: "The kernel is gone. Nothing here can be changed; run the cell that made this widget again.",
};

export class AnnotationView {
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
