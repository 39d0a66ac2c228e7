"""What each built-in mask filter does, against scipy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from sam2_core.builtin import mask_filters
from sam2_core.hooks import FilterChain, Plugins, Selection

EIGHT = np.ones((3, 3), int)
PLUGINS = Plugins(Selection(), strict=True)
PLUGINS.register(mask_filters, name="mask-filters")
MASKS = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def filtered(mask: Any, *filters: Any) -> Any:
    return FilterChain.of(filters, PLUGINS).apply(np.asarray(mask, bool))


def parts(mask: Any) -> tuple[Any, Any]:
    labels, count = ndimage.label(mask, EIGHT)
    return labels, ndimage.sum_labels(mask, labels, range(1, count + 1))


@settings(max_examples=80, deadline=None)
@given(MASKS)
def test_all_holes(mask: Any) -> None:
    # scipy's structure is that of the background, which is connected through corners too here
    assert np.array_equal(filtered(mask, "fill-holes"), ndimage.binary_fill_holes(mask, EIGHT))


def test_small_holes_only() -> None:
    mask = np.ones((9, 12), bool)
    mask[2:4, 2:4] = mask[6, 6] = mask[0, 8] = False

    assert (~filtered(mask, "fill-holes:max_area=1")).sum() == 5
    assert (~filtered(mask, "fill-holes:max_area=4")).sum() == 1, "the one at the edge is none"
    assert (~filtered(mask, "fill-holes:max_area=0")).sum() == 6


@settings(max_examples=80, deadline=None)
@given(MASKS, st.integers(0, 10))
def test_islands(mask: Any, max_area: int) -> None:
    labels, areas = parts(mask)

    found = filtered(mask, ("remove-islands", {"max_area": max_area}))

    large = np.isin(labels, 1 + np.flatnonzero(areas > max_area))
    if large.any() or not mask.any():
        assert np.array_equal(found, large)
    else:
        assert found.sum() == areas.max()


@settings(max_examples=80, deadline=None)
@given(MASKS)
def test_the_largest_part(mask: Any) -> None:
    labels, areas = parts(mask)

    found = filtered(mask, "largest-part")

    expected = labels == 1 + int(np.argmax(areas)) if mask.any() else mask
    assert np.array_equal(found, expected)


def test_small_objects_go_as_a_whole() -> None:
    mask = np.zeros((6, 7), bool)
    mask[0, 0] = mask[4, 4] = True

    assert np.array_equal(filtered(mask, "remove-small:min_area=2"), mask)
    assert not filtered(mask, "remove-small:min_area=3").any()


@pytest.mark.parametrize("edge", [False, True])
def test_smoothing_takes_corners_and_leaves_straight_edges(edge: bool) -> None:
    mask = np.zeros((40, 40), bool)
    mask[0 if edge else 10 : 30, 10:30] = True

    found = filtered(mask, "smooth:radius=3")

    assert not found[29, 29]
    assert found[20, 10]
    assert not found[20, 9]
    assert found[0, 20] == edge, "the frame's edge does not end an object"
    assert not (found & ~mask).any(), "it grows into dents, not beyond its hull"
