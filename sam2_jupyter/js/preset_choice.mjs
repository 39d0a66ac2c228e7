// How the model looks at frames, and how long a propagation would take either way.

import { button, element, labelled } from "./dom.mjs";
import { duration } from "./job_list.mjs";

export class PresetChoice {
  /**
   * @param presets [{name, label, summary}] @param choose called with a name; resolves with null if it was refused
   * @param ask for how long it takes
   */
  constructor(presets, choose, ask) {
    this.presets = presets;
    this.current = presets[0].name;
    this.select = element("select", {
      title: "for clicks and propagations from now on; what was found one way can be corrected the other",
      onchange: async () => {
        if (!(await choose(this.select.value))) this.show(this.current);
      },
    }, ...presets.map((one) => element("option", { value: one.name, text: one.label, title: one.summary })));
    this.told = element("output", { class: "sam2-hint sam2-estimate" });
    this.root = element("div", {},
      labelled("look at", this.select, button("How long?", ask, { name: "tell how long it would take to propagate all objects" })),
      this.told);
  }

  show(name) {
    this.current = name;
    this.select.value = name;
  }

  /** Say how long it takes: {name: seconds}. */
  tell(seconds) {
    this.told.textContent = estimateInWords(this.presets, seconds);
  }
}

/** Of close-ups it is the most: objects that lie together share one. */
export function estimateInWords(presets, seconds) {
  const known = presets.filter(({ name }) => seconds[name] !== undefined);
  if (!known.length) return "nothing is known of how long it takes";
  const most = (name) => (seconds[name] < 1 ? "at most 1 s" : `${name === "crops" ? "up to" : "about"} ${duration(seconds[name])}`);
  return known.map(({ name, label }) => `${label}: ${most(name)}`).join("; ");
}
