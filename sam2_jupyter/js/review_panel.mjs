// The review queue: which masks look wrong, the worst first.

import { button, element, labelled } from "./dom.mjs";
import { frameInWords } from "./frame_grid.mjs";

const SHOWN = 5;

export class ReviewPanel {
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
