"""The notebook view's pure modules, tested by node; and the one file that ships, made from them."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import sam2_jupyter

TESTS = Path(__file__).parent / "js"


def bundler(repository: Path) -> Any:
    path = repository / "scripts" / "bundle_notebook_view.py"
    spec = importlib.util.spec_from_file_location("bundle_notebook_view", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pure_modules() -> None:
    """Geometry, masks, keys, gestures, tiles, contrast and protocol."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node 20 or later; install it with scripts/install-system-packages.sh")
    files = sorted(str(path) for path in TESTS.glob("*.test.mjs"))
    done = subprocess.run([node, "--test", *files], capture_output=True, text=True, timeout=300, check=False)

    assert len(files) >= 6
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_ships_is_up_to_date(repository: Path) -> None:
    """static/ is what the script makes of js/."""
    for path, text in bundler(repository).outputs().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run scripts/bundle_notebook_view.py"


def test_what_ships_needs_nothing_else(repository: Path) -> None:
    """No import is left, no address of a server, and it is small enough to be sent with every widget."""
    text = (Path(sam2_jupyter.__file__).parent / "static" / "widget.js").read_text(encoding="utf-8")

    assert "import " not in "\n".join(
        line for line in text.splitlines() if not line.lstrip().startswith(("//", "*", "/*"))
    )
    assert "http://" not in text
    assert "https://" not in text
    assert len(text) < 150_000


def test_modules_may_use_the_same_names(repository: Path, tmp_path: Path) -> None:
    """What a module does not export stays its own; circles are refused."""
    bundle = bundler(repository).bundled
    (tmp_path / "a.mjs").write_text(
        "export const one = 1;\nconst hidden = 10;\nexport function ten() { return hidden; }\n"
    )
    (tmp_path / "b.mjs").write_text(
        'import { one, ten } from "./a.mjs";\nconst hidden = one + ten();\nconsole.log(hidden);\n'
    )
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node 20 or later; install it with scripts/install-system-packages.sh")
    made = tmp_path / "made.mjs"
    made.write_text(bundle(tmp_path, "b.mjs"))

    assert subprocess.run([node, str(made)], capture_output=True, text=True, check=True).stdout == "11\n"
    (tmp_path / "a.mjs").write_text('import { x } from "./b.mjs";\n')
    with pytest.raises(SystemExit, match="circle"):
        bundle(tmp_path, "b.mjs")
