"""Filters by name, one after another, on masks and on labels; the hook is sam2_mask_filters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError, PluginError
from sam2_core.hooks import FilterChain, MaskFilter
from tests.hooks.added import plugins_adding


def grown(mask: Any, *, steps: int = 1) -> Any:
    for _ in range(steps):
        padded = np.pad(mask, 1)
        mask = mask | padded[2:, 1:-1] | padded[:-2, 1:-1] | padded[1:-1, 2:] | padded[1:-1, :-2]
    return mask


def changes_in_place(mask: Any) -> Any:
    mask[:] = True
    return mask


PLUGINS = plugins_adding(
    MaskFilter("grow", apply=grown),
    MaskFilter("gone", apply=lambda mask: np.zeros_like(mask)),
    MaskFilter("smaller", apply=lambda mask: mask[1:]),
    MaskFilter("numbers", apply=lambda mask: mask.astype(int)),
    MaskFilter("in-place", apply=changes_in_place),
    MaskFilter("none", apply=lambda mask: None),  # type: ignore[arg-type,return-value]
)


def chain(*filters: Any) -> FilterChain:
    return FilterChain.of(filters, PLUGINS)


def drawn() -> Any:
    labels = np.zeros((80, 90), np.uint16)
    labels[40, 40] = 3
    labels[40, 42] = 60_000
    labels[0, 0] = 7
    return labels


def test_options_from_text_or_as_values() -> None:
    assert str(chain("grow:steps=3", ("grow", {"steps": 2}), "grow")) == "grow:steps=3, grow:steps=2, grow"
    mask = drawn() == 3
    assert chain("grow:steps=2").apply(mask).sum() == 13
    assert chain(("grow", {"steps": 1}), "grow").apply(mask).sum() == 13
    assert not chain()
    assert chain().apply(mask) is mask


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("grew", PluginError, "no mask filter named 'grew'.*grow"),
        ("grow:steps", InvalidInputError, "expected OPTION=VALUE"),
        ("grow:steps=much", InvalidInputError, "whole number"),
        ("grow:size=3", InvalidInputError, "no option size; options are steps"),
    ],
)
def test_what_cannot_be_understood(text: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        chain(text)


def test_on_labels_nobody_loses_a_pixel_to_another() -> None:
    labels = drawn()

    filtered = chain("grow").apply_to_labels(labels)

    assert filtered.dtype == labels.dtype
    assert (filtered == 3).sum() == 5
    assert filtered[40, 41] == 3, "both want it, the first gets it"
    assert (filtered == 60_000).sum() == 4
    assert (filtered == 7).sum() == 3, "at the corner of the frame"
    assert np.array_equal(filtered[labels > 0], labels[labels > 0])
    assert (labels > 0).sum() == 3, "what was given is as it was"


def test_what_is_taken_away_is_background() -> None:
    assert not chain("gone", "grow").apply_to_labels(drawn()).any()
    assert not chain("gone").apply_to_labels(np.zeros((4, 5), int)).any()


@pytest.mark.parametrize(
    ("name", "says"),
    [("smaller", "shape"), ("numbers", "int64"), ("in-place", "read-only"), ("none", "got None")],
)
def test_nonsense_names_the_plugin(name: str, says: str) -> None:
    with pytest.raises(PluginError, match=f"mask filter '{name}' failed.*plugin given.*{says}"):
        chain(name).apply_to_labels(drawn())
