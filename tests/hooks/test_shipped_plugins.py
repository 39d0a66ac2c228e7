"""The plugins that ship beside the project are what they tell others to be."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

FOLDERS = [*sorted(one.parent for one in (REPOSITORY / "sam2_plugins").glob("*/pyproject.toml"))]
FOLDERS += [REPOSITORY / "examples" / "plugin-template"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_each_is_a_small_distribution(folder: Path) -> None:
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (module,) = project["entry-points"]["sam2.plugins"].values()
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (folder / "tests").glob("test_*.py"))

    assert (folder / "src" / module / "__init__.py").is_file()
    assert "sam2-lab" in project["dependencies"]
    assert (folder / "README.md").read_text(encoding="utf-8").startswith(f"# {project['name']}\n")
    assert "(PluginContract):" in tests, "it passes the checks that every plugin has to pass"
    assert f"plugin = {module}\n" in tests


def test_there_are_some() -> None:
    assert {"exemplar-prompt", "label-seeds"} <= {folder.name for folder in FOLDERS}
