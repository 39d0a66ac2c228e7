// Fine-tuning: choose a recipe and how long it may take, start it, watch its curves, stop it, and see which model is used.

import { button, element, labelled } from "./dom.mjs";
import { OptionForm } from "./option_form.mjs";

const WIDTH = 250;
const HEIGHT = 110;
const FOOT = 16;

export class TrainingPanel {
  /** @param view AnnotationView @param about {recipes: [{name, summary, options}], budget} */
  constructor(view, { recipes, budget }) {
    this.view = view;
    this.recipes = recipes;
    this.values = {};
    this.told = null;
    this.latestPicture = 0;
    this.form = new OptionForm((values) => (this.values = values));
    this.choice = element("select", { onchange: () => this._chosen() },
      ...recipes.map((recipe) => element("option", { value: recipe.name, text: recipe.name, title: recipe.summary })));
    this.summary = element("p", { class: "sam2-hint" });
    this.budget = element("input", { type: "text", value: budget, size: 8 });
    this.masks = element("select", {}, element("option", { value: "accepted", text: "accepted masks" }),
      element("option", { value: "all", text: "all masks" }));
    this.holdBack = element("input", { type: "checkbox" });
    this.holdBack.checked = true;
    this.name = element("input", { type: "text", placeholder: "chosen for you" });
    this.startButton = button("Fine-tune", () => this.start(),
      { name: "fine-tune the model on the masks", key: view.keyMap.label("train"), "data-action": "train" });
    this.stopButton = button("Stop", () => this.stop(), { name: "stop fine-tuning and keep the best" });
    this.curve = element("canvas", {
      class: "sam2-curve", width: WIDTH, height: HEIGHT, role: "img", "aria-label": "nothing was trained yet", hidden: true,
    });
    this.picture = element("canvas", { class: "sam2-preview", role: "img", "aria-label": "preview", hidden: true });
    this.legend = element("p", { class: "sam2-hint", hidden: true, text: "preview: said is green, true is red, both are yellow" });
    this.outcome = element("p", { class: "sam2-outcome", role: "status" });
    this.model = element("p", { class: "sam2-hint sam2-model" });
    this.root = element("div", { class: "sam2-training" }, this.model,
      labelled("recipe", this.choice), this.summary, labelled("time budget", this.budget), labelled("learn from", this.masks),
      labelled("hold frames back to validate", this.holdBack), labelled("name of the new model", this.name), this.form.root,
      element("div", { class: "sam2-tools" }, this.startButton, this.stopButton),
      this.outcome, this.curve, this.picture, this.legend);
    this._chosen();
    this._showState();
  }

  start() {
    this.root.closest("details").open = true;
    return this.view.ask("train", {
      recipe: this.choice.value, budget: this.budget.value, masks: this.masks.value, hold_back: this.holdBack.checked,
      name: this.name.value, options: this.values,
    });
  }

  stop() {
    // a button that cannot be pressed would lose the focus to the notebook
    this.view.stage.focus({ preventScroll: true });
    return this.view.ask("job", { id: this.told.job, do: "stop" });
  }

  /** How it goes, as Python says it; with a preview where there is a new one. */
  async show(told, buffers = []) {
    const isOther = told.job !== this.told?.job;
    this.told = told;
    if (isOther) {
      this.latestPicture = 0;
      for (const part of [this.picture, this.legend]) part.hidden = true;
    }
    this._showState();
    this._paint();
    if (!buffers.length) return;
    try {
      const bitmap = await createImageBitmap(new Blob([buffers[0]], { type: "image/jpeg" }));
      // an earlier one may take longer to decode
      if (told.job !== this.told.job || told.pictures < this.latestPicture) return;
      this.latestPicture = told.pictures;
      this.picture.width = bitmap.width;
      this.picture.height = bitmap.height;
      this.picture.getContext("2d").drawImage(bitmap, 0, 0);
      bitmap.close();
      this.picture.hidden = this.legend.hidden = false;
      this.picture.dataset.number = told.pictures;
      this.picture.setAttribute("aria-label", `preview of a frame that was held back, after ${told.step} steps`);
    } catch (error) {
      this.view.report(error);
    }
  }

  _chosen() {
    this.values = {};
    const recipe = this.recipes[this.choice.selectedIndex];
    this.summary.textContent = recipe?.summary ?? "";
    this.form.show(recipe?.options ?? []);
  }

  _showState() {
    const told = this.told;
    const isActive = Boolean(told?.job) && ["waiting", "running", "paused"].includes(told.state);
    this.startButton.disabled = isActive || !this.recipes.length;
    this.stopButton.disabled = !isActive || told.is_stopping;
    this.model.textContent = told?.model ? `model in use: ${told.model}` : "";
    this.outcome.textContent = told?.job ? outcomeOf(told, isActive) : "";
    this.root.dataset.state = told?.state ?? "none";
    this.root.dataset.model = told?.model ?? "";
  }

  _paint() {
    const { losses = [], ious = [], step = 0 } = this.told;
    this.curve.dataset.losses = losses.length;
    this.curve.dataset.ious = ious.length;
    this.curve.hidden = !losses.length && !ious.length;
    if (this.curve.hidden) return;
    const ratio = globalThis.devicePixelRatio || 1;
    this.curve.width = Math.round(WIDTH * ratio);
    this.curve.height = Math.round(HEIGHT * ratio);
    const context = this.curve.getContext("2d");
    context.scale(ratio, ratio);
    const style = getComputedStyle(this.root);
    const colours = { loss: style.getPropertyValue("--sam2-accent") || "#0b66c3", iou: style.getPropertyValue("--sam2-iou") || "#1b7f3b" };
    const most = Math.max(...losses.map((point) => point[1]), Number.MIN_VALUE);
    const last = Math.max(1, step);
    const line = (points, top, colour, dots) => {
      context.strokeStyle = context.fillStyle = colour;
      context.lineWidth = 1.5;
      context.beginPath();
      for (const [at, value] of points) {
        const x = 4 + (at / last) * (WIDTH - 8);
        const y = HEIGHT - FOOT - 4 - (value / top) * (HEIGHT - FOOT - 8);
        context.lineTo(x, y);
        if (dots) context.fillRect(x - 2, y - 2, 4, 4);
      }
      context.stroke();
    };
    line(losses, most, colours.loss, false);
    line(ious, 1, colours.iou, true);
    context.font = "11px sans-serif";
    const words = wordsOf(losses, ious, step);
    let x = 2;
    for (const [text, colour] of words) {
      context.fillStyle = colour ? colours[colour] : style.color;
      context.fillText(text, x, HEIGHT - 3);
      x += context.measureText(text).width + 10;
    }
    this.curve.setAttribute("aria-label", words.map(([text]) => text).join(", "));
  }
}

function wordsOf(losses, ious, step) {
  const words = [[`step ${step}`, ""]];
  if (losses.length) words.push([`loss ${losses.at(-1)[1].toPrecision(3)}`, "loss"]);
  if (ious.length) words.push([`validation IoU ${ious.at(-1)[1].toFixed(3)}`, "iou"]);
  return words;
}

/** What there is to say of a training. */
function outcomeOf({ state, base, before, best, new_model: made, is_used: isUsed, is_stopping: isStopping }, isActive) {
  if (isActive) return isStopping ? "stopping; the best so far is kept" : `learning, from ${base}`;
  if (state === "cancelled") return "cancelled; nothing was kept";
  if (state === "failed") return "it failed; the model in use is the one from before";
  const gain = before === null ? "" : `: one-click IoU ${before.toFixed(3)} before, ${best.toFixed(3)} now`;
  return `${made} is ready${isUsed ? ", and is used from now on" : ""}${gain}`;
}
