// The slider of an axis of frames, with marks where prompts are and a strip that shows where masks are.

import { element } from "./dom.mjs";

const HEIGHT = 18;

export class FrameStrip {
  /** @param onPlace called with the place on the axis that was chosen @param axis its letter @param count its length */
  constructor(onPlace, axis, count) {
    this.slider = element("input", {
      type: "range", class: "sam2-frames", min: 0, value: 0, step: 1, max: count - 1, "aria-label": `${axis} of the frame`,
      oninput: () => onPlace(Number(this.slider.value)),
    });
    this.strip = element("canvas", { class: "sam2-strip", height: HEIGHT, role: "img", "aria-label": "frames with masks and prompts" });
    this.text = element("output", { class: "sam2-frame-text" });
    this.root = element("div", { class: "sam2-frame-row", "data-axis": axis, hidden: count < 2 }, element("div", { class: "sam2-frame-track" }, this.slider, this.strip), this.text);
    this.strip.addEventListener("pointerdown", (event) => {
      const share = event.offsetX / Math.max(1, this.strip.clientWidth);
      onPlace(Math.min(this.count - 1, Math.floor(share * this.count)));
    });
    this.count = count;
    this.axis = axis;
  }

  show(place) {
    this.slider.value = place;
    this.slider.setAttribute("aria-valuetext", `${this.axis} ${place} of 0 to ${this.count - 1}`);
    this.text.textContent = `${this.axis} ${place} / ${this.count - 1}`;
  }

  /** Draw marks. `overview`: {coverage: numbers of masks in as many parts of the axis, prompts, selected: places}. */
  paint(overview, colour) {
    const width = Math.max(1, Math.round(this.strip.clientWidth * (globalThis.devicePixelRatio || 1)));
    if (this.strip.width !== width) this.strip.width = width;
    const context = this.strip.getContext("2d");
    const style = getComputedStyle(this.root);
    context.clearRect(0, 0, width, HEIGHT);
    const { coverage, prompts, selected } = overview;
    const most = Math.max(1, ...coverage);
    const step = width / coverage.length;
    context.fillStyle = style.getPropertyValue("--sam2-accent") || "#1976d2";
    coverage.forEach((masks, part) => {
      if (!masks) return;
      context.globalAlpha = 0.35 + (0.65 * masks) / most;
      context.fillRect(Math.floor(part * step), HEIGHT - 8, Math.ceil(step), 8);
    });
    context.globalAlpha = 1;
    const place = (frame) => ((frame + 0.5) / this.count) * width;
    for (const [frames, shade] of [[prompts, style.getPropertyValue("--sam2-muted") || "#777777"], [selected, colour ?? "#ffffff"]]) {
      context.fillStyle = shade;
      for (const frame of frames) {
        const x = place(frame);
        context.beginPath();
        context.moveTo(x - 4, 0);
        context.lineTo(x + 4, 0);
        context.lineTo(x, 8);
        context.fill();
      }
    }
    this.strip.setAttribute(
      "aria-label",
      `${this.axis}: masks on ${overview.masked} of ${this.count} frames, prompts on ${prompts.length}`
    );
    this.root.dataset.masked = overview.masked;
    this.root.dataset.prompts = prompts.join(" ");
  }
}
