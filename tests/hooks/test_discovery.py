"""Which plugins are installed, and those of a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_core.hooks import discovery
from sam2_core.hooks.discovery import find_plugins
from tests.hooks.conftest import Install
from tests.hooks.distributions import GOOD


def test_an_installed_plugin_is_found_with_its_version(installed: Install) -> None:
    installed("good-plugin", GOOD, version="3.4", entry_point="good")

    (found,) = [one for one in find_plugins() if one.distribution == "good-plugin"]
    assert (found.name, found.version, found.entry_point.value) == ("good", "3.4", "good_plugin")


def test_a_checkout_says_for_itself_what_is_built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "pyproject.toml"
    page.write_text('[project]\nname = "sam2-lab"\n[project.entry-points."sam2.plugins"]\nnew = "sam2_core.new"\n')
    monkeypatch.setattr(discovery, "_PYPROJECT", page)

    assert [one.name for one in find_plugins() if one.distribution == "sam2-lab"] == ["new"]


@pytest.mark.parametrize("content", [None, '[project]\nname = "another"\n', "[tool.x]\n"])
def test_another_project_beside_it_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    page = tmp_path / "pyproject.toml"
    if content is not None:
        page.write_text(content)
    monkeypatch.setattr(discovery, "_PYPROJECT", page)

    assert "commands" in [one.name for one in find_plugins() if one.distribution == "sam2-lab"]
