// Making elements.

/** An element: attributes as given, `on…` as listeners, `text` as its text; children that are null are left out. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") made.textContent = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "value") made.value = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** A button with a name for those who cannot see it, and its key where there is one. */
export function button(label, onclick, { name = label, key = "", pressed, ...attributes } = {}) {
  const title = key ? `${name} (${key})` : name;
  const made = element("button", {
    type: "button", class: "sam2-button", title, "aria-label": name, "aria-keyshortcuts": key ? key.replace("Ctrl", "Control") : null,
    "aria-pressed": pressed === undefined ? null : String(pressed), onclick, ...attributes,
  });
  made.append(element("span", { text: label }));
  // the key is written by the style sheet: it is no part of the button's name
  if (key) made.append(element("kbd", { "data-key": key, "aria-hidden": "true" }));
  return made;
}

export function setPressed(made, pressed) {
  made.setAttribute("aria-pressed", String(pressed));
}

/** A part of the side panel that can be folded. */
export function section(title, open, ...children) {
  return element("details", { class: "sam2-section", open }, element("summary", { text: title }), ...children);
}

let counter = 0;

/** A control with its label. */
export function labelled(text, control, extra = null) {
  control.id ||= `sam2-control-${++counter}`;
  return element("div", { class: "sam2-field" }, element("label", { for: control.id, text }), control, extra);
}

/** Take an element away. If the focus was in it, it goes to `heir`: else the next key would go to the notebook. */
export function takeAway(node, heir) {
  if (node.contains(node.getRootNode().activeElement)) heir.focus({ preventScroll: true });
  node.remove();
}
