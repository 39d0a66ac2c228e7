"""The page for plugin authors: its plugin is installed as it stands there, and its own tests pass."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.hooks.distributions import install


def test_its_plugin_works(repository: Path, tmp_path: Path) -> None:
    page = (repository / "docs" / "plugin-authors.md").read_text(encoding="utf-8")
    module, tests = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (settings,) = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len((settings + module).splitlines()) < 60
    assert 'cross = "sam2_cross"' in settings
    install(tmp_path, "sam2-cross", module, entry_point="cross")
    (tmp_path / "test_sam2_cross.py").write_text(tests, encoding="utf-8")

    program = (
        f"import sys, pytest; sys.path[:0] = {[str(tmp_path), str(repository)]}; sys.exit(pytest.main(sys.argv[1:]))"
    )
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:napari", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", program, *options], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b1[0-9] passed", done.stdout), done.stdout
