// The review queue: which masks look wrong, the worst first.

import { button, element } from "./dom.mjs";
import { frameInWords } from "./frame_grid.mjs";

const SHOWN = 5;

export class ReviewPanel {
  /** @param view AnnotationView: its _ask, _go and _select are used */
  constructor(view) {
    this.view = view;
    this.items = [];
    this.isCurrent = false;
    this.text = element("p", { class: "sam2-hint", text: "Press Next for the most doubtful mask." });
    this.list = element("ol", { class: "sam2-review" });
    this.nextButton = button("Next", () => this.next(), { name: "next doubtful mask", "data-action": "next_review" });
    this.acceptButton = button("Accept", () => this.accept(), { name: "accept this mask" });
    this.root = element("div", {}, element("div", { class: "sam2-tools" }, this.nextButton, this.acceptButton), this.text, this.list);
    this.acceptButton.disabled = true;
    this.skipped = new Set();
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
