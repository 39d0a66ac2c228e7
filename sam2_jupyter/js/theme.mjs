// Whether the notebook is dark. Each host says it in its own way, on elements that a style sheet in a shadow root cannot see.

const DARK = "[data-jp-theme-light='false'], .dark, .vscode-dark, .vscode-high-contrast, [theme='dark']";
const LIGHT = "[data-jp-theme-light='true'], .light, .vscode-light, .vscode-high-contrast-light, [theme='light']";

/** Whether the nearest element around that says anything says dark; `otherwise` where none does. */
export function isDark(node, otherwise) {
  const nodes = [];
  for (let around = node; around; around = around.parentElement ?? around.getRootNode().host ?? null) nodes.push(around);
  // hosts fill an element before they put it into the page
  for (const around of [...nodes, document.body, document.documentElement]) {
    if (around.matches(LIGHT)) return false;
    if (around.matches(DARK)) return true;
  }
  return otherwise;
}

/** Keeps `data-theme` of an element as the notebook is. */
export class Theme {
  /** @param onChange called when it has changed */
  constructor(root, onChange) {
    this.root = root;
    this.onChange = onChange;
    this.system = matchMedia("(prefers-color-scheme: dark)");
    this.look = () => this._look();
    this.system.addEventListener("change", this.look);
    this.observer = new MutationObserver(this.look);
    for (const node of [document.documentElement, document.body]) {
      this.observer.observe(node, { attributes: true, attributeFilter: ["class", "data-jp-theme-light", "theme"] });
    }
    this._look();
  }

  close() {
    this.observer.disconnect();
    this.system.removeEventListener("change", this.look);
  }

  _look() {
    const theme = isDark(this.root, this.system.matches) ? "dark" : "light";
    if (this.root.dataset.theme === theme) return;
    this.root.dataset.theme = theme;
    this.onChange();
  }
}
