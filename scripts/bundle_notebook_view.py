"""Put the notebook view's modules (sam2_jupyter/js) into the one file that notebooks load (sam2_jupyter/static).

A notebook imports a widget's code from a blob, where there is nothing that it could import in turn. Each module becomes
a function of its own, so that names in different modules do not meet. Run it after a change in sam2_jupyter/js.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "sam2_jupyter"
SOURCE, TARGET = PACKAGE / "js", PACKAGE / "static"
ENTRY = "widget.mjs"
IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w]+\.mjs)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)
DEFAULT = "export default "


def bundled(source: Path = SOURCE, entry: str = ENTRY) -> str:
    """The text of the one file."""
    order: list[str] = []
    _visit(source, entry, order, ())
    parts = ["// Made by scripts/bundle_notebook_view.py from sam2_jupyter/js; change it there.\n"]
    parts += [_module((source / name).read_text(encoding="utf-8"), name, is_entry=name == entry) for name in order]
    return "\n".join(parts)


def _visit(source: Path, name: str, order: list[str], above: tuple[str, ...]) -> None:
    if name in above:
        raise SystemExit(f"modules import each other in a circle: {' -> '.join([*above, name])}")
    for _, imported in IMPORT.findall((source / name).read_text(encoding="utf-8")):
        _visit(source, imported, order, (*above, name))
    if name not in order:
        order.append(name)


def _module(text: str, name: str, *, is_entry: bool) -> str:
    body = IMPORT.sub(lambda found: f"const {{{found[1]}}} = {_variable(found[2])};\n", text)
    exported = [found[1] for found in EXPORT.finditer(body)]
    body = EXPORT.sub("", body)
    if is_entry:
        return body
    if re.search(r"^(import|export)\b", body, re.MULTILINE):
        raise SystemExit(f'{name}: only `import {{…}} from "./….mjs"` and `export function|const|class` are understood')
    return f"const {_variable(name)} = (() => {{\n{body}return {{ {', '.join(exported)} }};\n}})();\n"


def _variable(name: str) -> str:
    return f"module_{name.removesuffix('.mjs')}"


def outputs() -> dict[Path, str]:
    """What each file of the static folder holds."""
    return {TARGET / "widget.js": bundled(), TARGET / "widget.css": (SOURCE / "widget.css").read_text(encoding="utf-8")}


def main() -> None:
    """Write the files, or with --check say whether they are up to date."""
    if "--check" in sys.argv:
        old = [path.name for path, text in outputs().items() if not path.exists() or path.read_text("utf-8") != text]
        raise SystemExit(f"out of date: {', '.join(old)}; run scripts/bundle_notebook_view.py" if old else 0)
    TARGET.mkdir(exist_ok=True)
    for path, text in outputs().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
