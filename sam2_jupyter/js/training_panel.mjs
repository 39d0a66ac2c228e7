// Fine-tuning: choose a recipe, start it, and watch its loss.

import { button, element, labelled } from "./dom.mjs";
import { OptionForm } from "./option_form.mjs";

const WIDTH = 260;
const HEIGHT = 90;

export class TrainingPanel {
  /** @param view AnnotationView @param recipes [{name, summary, options}] */
  constructor(view, recipes) {
    this.view = view;
    this.recipes = recipes;
    this.values = {};
    this.points = [];
    this.form = new OptionForm((values) => (this.values = values));
    this.choice = element("select", { onchange: () => this._chosen() },
      ...recipes.map((recipe) => element("option", { value: recipe.name, text: recipe.name, title: recipe.summary })));
    this.curve = element("canvas", { class: "sam2-curve", width: WIDTH, height: HEIGHT, role: "img", "aria-label": "no loss yet" });
    this.root = element("div", {},
      labelled("recipe", this.choice), this.form.root,
      button("Fine-tune", () => this.start(), { name: "fine-tune the model on the accepted masks" }), this.curve);
    this._chosen();
  }

  start() {
    this.points = [];
    this._paint();
    return this.view._ask("fine_tune", { recipe: this.choice.value, options: this.values });
  }

  /** A step was done: {step, loss}. */
  add({ step, loss }) {
    if (!Number.isFinite(loss)) return;
    this.points.push([step, loss]);
    this._paint();
  }

  _chosen() {
    this.values = {};
    this.form.show(this.recipes[this.choice.selectedIndex]?.options ?? []);
  }

  _paint() {
    const context = this.curve.getContext("2d");
    context.clearRect(0, 0, WIDTH, HEIGHT);
    this.curve.dataset.points = this.points.length;
    if (!this.points.length) return;
    const [step, loss] = this.points.at(-1);
    this.curve.setAttribute("aria-label", `loss ${loss.toPrecision(3)} after ${step} steps`);
    const most = Math.max(...this.points.map((point) => point[1]));
    const last = Math.max(1, step);
    const style = getComputedStyle(this.root);
    context.strokeStyle = style.getPropertyValue("--sam2-accent") || "#1976d2";
    context.lineWidth = 2;
    context.beginPath();
    this.points.forEach(([at, value], i) => {
      const x = 2 + (at / last) * (WIDTH - 4);
      const y = HEIGHT - 16 - (value / (most || 1)) * (HEIGHT - 20);
      if (i) context.lineTo(x, y);
      else context.moveTo(x, y);
    });
    context.stroke();
    context.fillStyle = style.color;
    context.font = "11px sans-serif";
    context.fillText(`step ${step}, loss ${loss.toPrecision(3)}`, 2, HEIGHT - 3);
  }
}
