// The list of objects: choose, name, hide, accept, delete.

import { button, element, setPressed, takeAway } from "./dom.mjs";

export class ObjectList {
  /** @param actions select(id), toggle(id), change(id, {name, colour, category}), remove(id) @param heir of the focus */
  constructor(actions, heir) {
    this.heir = heir;
    this.actions = actions;
    this.rows = new Map();
    this.list = element("ul", { class: "sam2-objects", "aria-label": "objects" });
    this.empty = element("p", { class: "sam2-hint", text: "No objects yet. Click on a cell." });
    this.root = element("div", {}, this.list, this.empty);
  }

  /** Show objects; `records` are those of the frame that is looked at, by id. */
  show(objects, selected, hidden, records) {
    this.empty.hidden = objects.length > 0;
    const ids = new Set(objects.map((one) => one.id));
    for (const [id, row] of this.rows) {
      if (!ids.has(id)) {
        takeAway(row.item, this.heir);
        this.rows.delete(id);
      }
    }
    for (const one of objects) {
      const row = this.rows.get(one.id) ?? this._add(one.id);
      this._fill(row, one, one.id === selected, hidden.has(one.id), records.get(one.id));
    }
  }

  _add(id) {
    const row = { id };
    row.chip = element("input", {
      type: "color", class: "sam2-chip",
      onchange: () => this.actions.change(id, { colour: row.chip.value }),
    });
    row.name = element("button", { type: "button", class: "sam2-object-name", onclick: () => this.actions.select(id) });
    row.note = element("span", { class: "sam2-note" });
    row.eye = button("◉", () => this.actions.toggle(id), { pressed: true });
    row.rename = button("✎", () => this._rename(row));
    row.remove = button("✕", () => this.actions.remove(id));
    row.item = element("li", { "data-object": id }, row.chip, row.name, row.note, row.eye, row.rename, row.remove);
    this.rows.set(id, row);
    this.list.append(row.item);
    return row;
  }

  _fill(row, one, selected, hidden, record) {
    row.one = one;
    const name = one.category ? `${one.name} · ${one.category}` : one.name;
    if (row.name.textContent !== name) row.name.textContent = name;
    if (row.chip.value !== one.colour) row.chip.value = one.colour;
    row.chip.setAttribute("aria-label", `colour of ${one.name}`);
    row.item.classList.toggle("sam2-selected", selected);
    setPressed(row.name, selected);
    setPressed(row.eye, !hidden);
    row.eye.firstChild.textContent = hidden ? "○" : "◉";
    for (const [made, words] of [[row.eye, "show"], [row.rename, "rename"], [row.remove, "delete"]]) {
      made.setAttribute("aria-label", `${words} ${one.name}`);
      made.title = `${words} ${one.name}`;
    }
    const score = record?.predicted_iou;
    const parts = [
      record?.locked ? "locked" : null,
      score === null || score === undefined ? null : score.toFixed(2),
      `${one.masks}`,
    ];
    row.note.textContent = parts.filter(Boolean).join(" · ");
    row.note.title = `masks on ${one.masks} frames, prompts on ${one.prompts}` +
      (score === null || score === undefined ? "" : `; expected IoU here ${score.toFixed(2)}`);
    row.item.dataset.masks = one.masks;
    row.item.dataset.prompts = one.prompts;
  }

  _rename(row) {
    const input = element("input", { type: "text", class: "sam2-rename", value: row.one.name, "aria-label": "new name" });
    let isDone = false;
    const done = (keep) => {
      // taking the field away takes the focus from it, which would end it again
      if (isDone) return;
      isDone = true;
      const name = input.value.trim();
      input.replaceWith(row.name);
      row.name.focus();
      if (keep && name && name !== row.one.name) this.actions.change(row.id, { name });
    };
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") done(true);
      if (event.key === "Escape") {
        done(false);
        event.stopPropagation();
      }
    });
    input.addEventListener("blur", () => done(true));
    row.name.replaceWith(input);
    input.select();
    input.focus();
  }
}
