"""Prompts on a plane are cut to what a window shows of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.inference.tile_grid import Window
from sam2_core.inference.tile_masks import ObjectMask
from sam2_core.inference.tile_prompts import checked_plane_mask, checked_plane_prompt, prompt_in_window

SIZE = (60, 90)
COORDINATES = st.tuples(st.integers(0, 90), st.integers(0, 60))


@settings(deadline=None)
@given(st.lists(COORDINATES, min_size=1, max_size=6), st.data())
def test_points_keep_their_place_and_label(points: list[tuple[int, int]], data: st.DataObject) -> None:
    labels = data.draw(st.lists(st.integers(0, 1), min_size=len(points), max_size=len(points)))
    window = Window(10, 20, 40, 70)
    prompt = checked_plane_prompt(points, labels, None, SIZE, replaces=False)
    np.testing.assert_allclose(prompt.points, points, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(prompt.labels, labels)
    inside = [(p, label) for p, label in zip(points, labels, strict=True) if 20 <= p[0] <= 70 and 10 <= p[1] <= 40]
    local = prompt_in_window(prompt, window)
    if not inside:
        assert local is None
        return
    assert local is not None
    np.testing.assert_allclose(local.points, [point for point, _ in inside], rtol=1e-5, atol=1e-4)
    assert local.labels.tolist() == [label for _, label in inside]
    assert not local.replaces


def test_a_box_goes_where_it_shows() -> None:
    prompt = checked_plane_prompt([[30.0, 30.0]], [0], [25, 20, 50, 45], SIZE, replaces=True)
    assert prompt.box == pytest.approx((25, 20, 50, 45), rel=1e-5)
    np.testing.assert_allclose(prompt.points, [[30, 30]], rtol=1e-5)
    local = prompt_in_window(prompt, Window(40, 40, 60, 90))
    assert local is not None
    assert (local.box, len(local.points)) == (prompt.box, 0)
    assert prompt_in_window(prompt, Window(0, 51, 60, 90)) is None


def test_masks_by_their_origin_and_by_shares() -> None:
    given_mask = checked_plane_mask(np.array([[0.2, 0.9], [0.5, 0.0]]), (10, 20), SIZE, "cell")
    assert given_mask.box == (10, 20, 12, 22)
    assert given_mask.mask.tolist() == [[False, True], [True, False]]
    again = checked_plane_mask(ObjectMask(1, given_mask.window, given_mask.mask), None, SIZE, "other")
    assert (again.object_id, again.window) == ("other", given_mask.window)
