"""Reading from the environment which plugins are wanted."""

from __future__ import annotations

import pytest

from sam2_core.errors import InvalidInputError
from sam2_core.hooks.selection import Selection, is_yes


def test_the_environment() -> None:
    selection = Selection.from_environment(
        {"SAM2_PLUGINS_DENY": "a, b,", "SAM2_PLUGINS_ALLOW": "c", "SAM2_NO_PLUGINS": ""}
    )

    assert selection == Selection(deny=frozenset("ab"), allow=frozenset("c"), only_builtin=False)
    assert Selection.from_environment({}) == Selection()


def test_an_empty_allow_list_allows_nothing() -> None:
    selection = Selection.from_environment({"SAM2_PLUGINS_ALLOW": ""})

    assert selection.refusal("a", "a-plugin")
    assert not selection.refusal("builtin", "sam2-lab")


def test_built_in_plugins_can_be_denied_by_name_only() -> None:
    assert not Selection(only_builtin=True).refusal("readers", "sam2-lab")
    assert Selection(deny=frozenset({"readers"})).refusal("readers", "sam2-lab")


@pytest.mark.parametrize(("value", "meaning"), [("1", True), ("Yes", True), ("true", True), ("0", False), ("", False)])
def test_switches(value: str, meaning: bool) -> None:
    assert is_yes({"X": value}, "X") is meaning


def test_a_switch_that_is_neither() -> None:
    with pytest.raises(InvalidInputError, match="X is a switch"):
        is_yes({"X": "perhaps"}, "X")
