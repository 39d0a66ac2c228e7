"""Forms of typed options."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest

from sam2_core.hooks.options import checked_options, options_of
from sam2_napari.option_form import LEFT_OUT, OptionForm


def options(
    *,
    steps: Annotated[int | None, {"min": 1}] = None,
    rate: Annotated[float | None, {"min": 0.0, "max": 1.0}] = 0.25,
    learning_rate: Annotated[float, {"min": 0.0, "max": 1.0}] = 2e-4,
    decay: float | None = 1.5e-5,
    scale: float = 30.0,
    seed: int | None = None,
    kind: Literal["one", "two"] = "two",
    is_quick: bool = True,
) -> None:
    """Some of each kind."""


def test_a_form_begins_with_the_defaults(display: None, qapp: Any) -> None:
    form = OptionForm(options)

    assert form.values == {one.name: one.default for one in options_of(options)}
    assert list(form.values.values()) == [None, 0.25, 2e-4, 1.5e-5, 30.0, None, "two", True]
    assert form.widgets["steps"].native.text() == LEFT_OUT


@pytest.mark.parametrize(("name", "value"), [("steps", 1), ("steps", 20_000), ("rate", 0.0), ("seed", 0)])
def test_a_number_that_may_be_left_out(display: None, qapp: Any, name: str, value: float) -> None:
    """Every number that the option can have can be chosen, and taken back."""
    form = OptionForm(options)
    form.widgets[name].value = value
    assert form.values[name] == value
    checked_options(options, form.values)

    form.widgets[name].native.setValue(form.widgets[name].native.minimum())
    assert form.values[name] is None


def test_without_options_a_form_is_empty(display: None, qapp: Any) -> None:
    assert OptionForm(lambda: None).is_empty
    assert not OptionForm(options).is_empty
