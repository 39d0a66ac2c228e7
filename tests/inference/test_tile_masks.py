"""Sparse masks do what whole pictures of them would."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.inference.tile_grid import Tile, TileGrid, Window
from sam2_core.inference.tile_masks import ObjectMask, PlaneMasks, linked_parts, merged_part

PICTURES = hnp.arrays(np.bool_, (12, 15))
PLANE = Window(0, 0, 12, 15)


@settings(deadline=None)
@given(PICTURES)
def test_a_mask_is_its_box_and_the_pixels_in_it(picture: np.ndarray) -> None:
    found = ObjectMask.from_pixels("cell", picture)
    np.testing.assert_array_equal(found.pixels_in(PLANE), picture)
    assert found.area == picture.sum()
    assert found.mask.shape == found.window.size
    if picture.any():
        rows, columns = ndimage.find_objects(picture.astype(int))[0]
        assert found.box == (columns.start, rows.start, columns.stop, rows.stop)
        y, x = ndimage.center_of_mass(picture)
        assert found.centroid == pytest.approx((x + 0.5, y + 0.5))
    else:
        assert found.box == (0, 0, 0, 0)
        with pytest.raises(StateError, match="not found"):
            found.centroid  # noqa: B018


@settings(deadline=None)
@given(PICTURES, PICTURES, st.integers(-3, 12), st.integers(-3, 15), st.integers(1, 9), st.integers(1, 9))
def test_overlaps_and_parts(first: np.ndarray, second: np.ndarray, top: int, left: int, h: int, w: int) -> None:
    one, other = ObjectMask.from_pixels(1, first), ObjectMask.from_pixels(2, second)
    window = Window(top, left, top + h, left + w)
    inside = np.zeros_like(first)
    inside[max(top, 0) : max(top + h, 0), max(left, 0) : max(left + w, 0)] = True
    assert one.overlap(other) == (first & second).sum()
    assert one.overlap(other, window) == (first & second & inside).sum()
    np.testing.assert_array_equal(one.cut_to(window).pixels_in(PLANE), first & inside)
    union = (first | second).sum()
    assert one.iou(other) == pytest.approx((first & second).sum() / union if union else 1.0)
    padded = np.pad(first, 20)[top + 20 : top + 20 + h, left + 20 : left + 20 + w]
    np.testing.assert_array_equal(one.pixels_in(window), padded)


@settings(deadline=None)
@given(PICTURES, PICTURES)
def test_labels_and_masks_of_a_frame(first: np.ndarray, second: np.ndarray) -> None:
    masks = PlaneMasks(3, (12, 15), [ObjectMask.from_pixels("a", first), ObjectMask.from_pixels("b", second)])
    np.testing.assert_array_equal(masks.masks_in(), np.stack([first, second]))
    np.testing.assert_array_equal(masks.labels_in(), np.where(first, 1, np.where(second, 2, 0)))
    window = Window(2, 3, 9, 14)
    np.testing.assert_array_equal(masks.labels_in(window), masks.labels_in()[2:9, 3:14])
    assert masks["b"].object_id == "b"
    assert masks.object_ids == ["a", "b"]
    with pytest.raises(KeyError, match="'a', 'b'"):
        masks["c"]


def test_a_frame_without_objects() -> None:
    nothing = PlaneMasks(0, (4, 5), [])
    assert nothing.masks_in().shape == (0, 4, 5)
    assert not nothing.labels_in().any()


# -- parts of several tiles --------------------------------------------------------------------------------------------

GRID = TileGrid((30, 70), (30, 30), 5)


def seen(picture: np.ndarray) -> dict[Tile, ObjectMask]:
    """What tiles would find that see perfectly."""
    return {
        tile: ObjectMask.from_pixels(
            None, picture[tile.window.rows, tile.window.columns], (tile.window.top, tile.window.left), 0.5, 2.0
        )
        for tile in GRID
    }


def disc(x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:30, :70]
    return np.asarray(np.hypot(columns - x, rows - y) <= radius)


@settings(deadline=None)
@given(st.floats(0, 70), st.floats(0, 30), st.floats(1, 25))
def test_tiles_that_see_perfectly_join_to_the_whole(x: float, y: float, radius: float) -> None:
    picture = disc(x, y, radius)
    joined = merged_part("cell", seen(picture))
    np.testing.assert_array_equal(joined.pixels_in(Window(0, 0, 30, 70)), picture)
    assert (joined.object_id, joined.predicted_iou, joined.object_score) == ("cell", 0.5, 2.0)


def test_each_tile_has_the_say_in_its_core() -> None:
    left, right, _ = GRID
    whole = np.ones((30, 70), bool)
    parts = {left: seen(whole)[left], right: seen(disc(right.core.left + 2, 15, 4))[right]}
    joined = merged_part(1, parts).pixels_in(Window(0, 0, 30, 70))
    assert joined[left.core.rows, left.core.columns].all()
    np.testing.assert_array_equal(joined[right.core.rows, right.core.columns], parts[right].pixels_in(right.core))


def test_a_tile_that_was_not_asked_leaves_its_core_to_its_neighbours_halo() -> None:
    left, right, _ = GRID
    part = seen(disc(right.core.left, 15, 4))[left]
    joined = merged_part(1, {left: part})
    assert joined.area == part.area
    empty = ObjectMask.from_pixels(1, np.zeros((2, 2), bool))
    assert merged_part(1, {left: part, right: empty}).area == part.area


def test_a_part_that_meets_the_others_nowhere_is_left_out() -> None:
    left, right, last = GRID
    picture = disc(20, 15, 8)
    parts = seen(picture)
    parts[last] = seen(disc(62, 15, 5))[last]
    assert set(linked_parts(parts)) == {left, right}
    np.testing.assert_array_equal(merged_part(1, parts).pixels_in(Window(0, 0, 30, 70)), picture)


def test_nothing_found_anywhere() -> None:
    empty = ObjectMask.from_pixels(None, np.zeros((2, 2), bool))
    assert linked_parts({GRID[0]: empty}) == []
    joined = merged_part("cell", {GRID[0]: empty})
    assert joined.object_id == "cell"
    assert joined.area == 0
    assert math.isnan(joined.predicted_iou)
    with pytest.raises(InvalidInputError):
        merged_part("cell", {})
