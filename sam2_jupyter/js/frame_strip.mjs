// The frame slider, with marks where prompts are and a strip that shows on which frames masks are.

import { element } from "./dom.mjs";

const HEIGHT = 18;

export class FrameStrip {
  /** @param onFrame called with the frame that was chosen */
  constructor(onFrame) {
    this.slider = element("input", {
      type: "range", class: "sam2-frames", min: 0, value: 0, step: 1, "aria-label": "frame",
      oninput: () => onFrame(Number(this.slider.value)),
    });
    this.strip = element("canvas", { class: "sam2-strip", height: HEIGHT, role: "img", "aria-label": "frames with masks and prompts" });
    this.text = element("output", { class: "sam2-frame-text" });
    this.root = element("div", { class: "sam2-frame-row" }, element("div", { class: "sam2-frame-track" }, this.slider, this.strip), this.text);
    this.strip.addEventListener("pointerdown", (event) => {
      const share = event.offsetX / Math.max(1, this.strip.clientWidth);
      onFrame(Math.min(this.count - 1, Math.floor(share * this.count)));
    });
    this.count = 1;
    this.axis = "frame";
  }

  setUp(count, axis) {
    this.count = count;
    this.axis = axis;
    this.slider.max = count - 1;
    this.root.hidden = count < 2;
  }

  showFrame(frame) {
    this.slider.value = frame;
    this.slider.setAttribute("aria-valuetext", `${this.axis} ${frame} of 0 to ${this.count - 1}`);
    this.text.textContent = `${this.axis} ${frame} / ${this.count - 1}`;
    this.frame = frame;
  }

  /** Draw marks. `overview`: {coverage: numbers of masks in as many parts of the stack, prompts, selected: frames}. */
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
      `masks on ${overview.masked} of ${this.count} frames, prompts on ${prompts.length}`
    );
    this.root.dataset.masked = overview.masked;
    this.root.dataset.prompts = prompts.join(" ");
  }
}
