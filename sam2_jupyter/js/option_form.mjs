// A small form of typed options, as Python describes them: [{name, kind, default, min, max, choices, optional}].

import { element, labelled } from "./dom.mjs";

export class OptionForm {
  /** @param onChange called with {name: value} whenever something is changed */
  constructor(onChange) {
    this.onChange = onChange;
    this.root = element("div", { class: "sam2-options" });
    this.values = {};
  }

  show(options, values = {}) {
    this.values = { ...values };
    this.root.replaceChildren(...options.filter((option) => option.kind !== "other").map((option) => this._field(option)));
    this.root.hidden = this.root.childElementCount === 0;
  }

  _field(option) {
    const value = option.name in this.values ? this.values[option.name] : option.default;
    const control = this._control(option, value);
    return labelled(option.name.replaceAll("_", " "), control);
  }

  _control(option, value) {
    const keep = (read) => (event) => {
      this.values = { ...this.values, [option.name]: read(event.target) };
      this.onChange(this.values);
    };
    if (option.kind === "bool") {
      const box = element("input", { type: "checkbox", onchange: keep((target) => target.checked) });
      box.checked = Boolean(value);
      return box;
    }
    if (option.kind === "choice") {
      const entries = option.choices.map((choice) => element("option", { value: String(choice), text: String(choice) }));
      const select = element("select", { onchange: keep((target) => option.choices[target.selectedIndex]) }, ...entries);
      select.selectedIndex = option.choices.indexOf(value);
      return select;
    }
    if (option.kind === "int" || option.kind === "float") {
      const read = (target) => (target.value === "" ? null : Number(target.value));
      return element("input", {
        type: "number", min: option.min, max: option.max, step: option.kind === "int" ? 1 : "any",
        value: value ?? "", onchange: keep(read),
      });
    }
    return element("input", { type: "text", value: value ?? "", onchange: keep((target) => target.value) });
  }
}
