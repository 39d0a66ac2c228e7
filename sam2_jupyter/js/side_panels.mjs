// What stands beside the image besides the objects: display, propagation, review, fine-tuning, saving, and the keys.

import { CarryPanel } from "./carry_panel.mjs";
import { button, element, labelled, section } from "./dom.mjs";
import { OptionForm } from "./option_form.mjs";
import { PresetChoice } from "./preset_choice.mjs";
import { ReviewPanel } from "./review_panel.mjs";
import { TrainingPanel } from "./training_panel.mjs";

export class SidePanels {
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
