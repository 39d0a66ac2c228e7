"""Every hook is documented with its exact signature, has a test and is used by what ships."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from sam2_core.hooks import SPECIFICATION_VERSION, Plugins, Selection
from sam2_core.hooks.specification import HOOK_OF_KIND, NOTIFICATIONS, Sam2Specification

HOOKS = [name for name in vars(Sam2Specification) if name.startswith("sam2_")]


@pytest.mark.parametrize("hook", HOOKS)
def test_documented_with_its_exact_signature(hook: str, repository: Path) -> None:
    signature = inspect.signature(getattr(Sam2Specification, hook))
    page = (repository / "docs" / "hooks.md").read_text(encoding="utf-8")

    assert f"### `{hook}{str(signature).replace(chr(39), '')}`" in page
    assert inspect.getdoc(getattr(Sam2Specification, hook))


@pytest.mark.parametrize("hook", HOOKS)
def test_has_a_test(hook: str, repository: Path) -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (repository / "tests").rglob("test_*.py"))

    assert re.search(rf"\b{hook}\b", tests)


@pytest.mark.parametrize("hook", HOOKS)
def test_used_by_what_ships(hook: str) -> None:
    plugins = Plugins(Selection(only_builtin=True), strict=True)
    plugins.load_installed()
    if hook in NOTIFICATIONS:
        assert plugins.listeners(hook)
        return
    (kind,) = [kind for kind, name in HOOK_OF_KIND.items() if name == hook]

    assert plugins.contributions(kind)


def test_every_hook_adds_or_listens() -> None:
    assert sorted(HOOKS) == sorted([*HOOK_OF_KIND.values(), *NOTIFICATIONS])


def test_the_page_names_the_version(repository: Path) -> None:
    assert f"specification {SPECIFICATION_VERSION}" in (repository / "docs" / "hooks.md").read_text(encoding="utf-8")
