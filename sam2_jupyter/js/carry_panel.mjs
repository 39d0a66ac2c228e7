// Carrying volumes from the time that is shown to others, in z-stacks over time.

import { button, element, labelled } from "./dom.mjs";
import { OptionForm } from "./option_form.mjs";

export class CarryPanel {
  /** @param view AnnotationView @param options typed ones, or null where there is no time to carry along */
  constructor(view, options) {
    this.view = view;
    this.values = {};
    this.root = null;
    if (!options) return;
    const form = new OptionForm((values) => (this.values = values));
    form.show(options);
    this.direction = element("select", {},
      element("option", { value: "forward", text: "later times" }), element("option", { value: "backward", text: "earlier times" }));
    this.count = element("input", { type: "number", min: 1, placeholder: "all" });
    this.root = element("div", { role: "group", "aria-label": "carry volumes" },
      element("p", { class: "sam2-hint", text: "From the time that is shown, whole volumes:" }),
      labelled("to", this.direction), labelled("number of times", this.count), form.root,
      element("div", { class: "sam2-tools" },
        button("Carry", () => view.act("carry"), { name: "carry the chosen object's volume to other times", key: view.keyMap.label("carry"), "data-action": "carry" }),
        button("Carry all", () => this.start(null), { name: "carry all objects' volumes to other times" })));
  }

  /** @param objects ids, or null for all that have masks at this time */
  start(objects) {
    // where there is no time to carry along Python says so
    return this.view.ask("carry", {
      objects, frame: this.view.store.get("frame"), direction: this.direction?.value ?? "forward",
      count: this.count?.value ? Number(this.count.value) : null, options: this.values,
    });
  }
}
