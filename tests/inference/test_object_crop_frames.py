"""Windows around objects, and frames whose window follows them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sam2_core.errors import InvalidInputError
from sam2_core.inference.object_crop_frames import SMALLEST_SIDE, CropFrames, crop_side, crop_window
from sam2_core.inference.tile_grid import Window
from sam2_core.volumes import open_frames

STACK = np.random.default_rng(0).integers(0, 255, (3, 64, 80)).astype(np.uint8)


@settings(deadline=None)
@given(st.floats(1, 900), st.floats(0.05, 0.5))
def test_an_object_spans_the_share_or_a_little_less(extent: float, share: float) -> None:
    side = crop_side(extent, share, 100_000)
    spans = extent / side
    assert spans <= share * 1.02
    assert spans >= share / 2**0.5 / 1.02 or side == SMALLEST_SIDE
    assert crop_side(extent, share, 100) == min(side, 100)


def test_sides_come_in_few_sizes() -> None:
    assert len({crop_side(extent, 1 / 3, 10_000) for extent in range(20, 80)}) <= 5


@settings(deadline=None)
@given(st.floats(-5, 85), st.floats(-5, 70), st.integers(1, 120))
def test_a_window_lies_in_the_frame_where_it_fits(x: float, y: float, side: int) -> None:
    window = crop_window((x, y), side, (64, 80))
    assert window.size == (side, side)
    for first, last, extent, position in (
        (window.top, window.bottom, 64, y),
        (window.left, window.right, 80, x),
    ):
        if side <= extent:
            assert 0 <= first < last <= extent
            if side / 2 <= position <= extent - side / 2:
                assert abs((first + last) / 2 - position) <= 0.75
        else:
            assert first <= 0
            assert last >= extent


def test_frames_show_their_window_resized() -> None:
    parent = open_frames(STACK)
    crop = CropFrames(parent, Window(10, 20, 42, 52), (64, 64))
    crop.lay(1, Window(0, 0, 32, 32))
    for index, window in ((0, crop.start), (1, Window(0, 0, 32, 32)), (2, crop.start)):
        expected = Image.fromarray(parent.read(index)[window.rows, window.columns]).resize((64, 64), Image.BICUBIC)
        np.testing.assert_array_equal(crop.read(index), np.asarray(expected))
        assert crop.window(index) == window
    assert crop.frame_size == (64, 64)
    assert len(crop) == 3


def test_a_window_that_is_laid_stays() -> None:
    crop = CropFrames(open_frames(STACK), Window(10, 20, 42, 52), (64, 64))
    assert not crop.is_laid(1)
    assert crop.lay(1, Window(0, 0, 32, 32)) == Window(0, 0, 32, 32)
    assert crop.lay(1, Window(5, 5, 37, 37)) == Window(0, 0, 32, 32)
    assert crop.is_laid(1)
    with pytest.raises(InvalidInputError, match="keep their size"):
        crop.lay(2, Window(0, 0, 31, 32))


def test_intensities_are_the_parents_to_give() -> None:
    with pytest.raises(InvalidInputError, match="resized for the model"):
        CropFrames(open_frames(STACK), Window(0, 0, 32, 32), (64, 64)).read_raw(0)
