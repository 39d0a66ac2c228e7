"""A window of a stack shows what slicing its frames would show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.errors import InvalidInputError
from sam2_core.inference.tile_frames import WindowFrames
from sam2_core.inference.tile_grid import Window
from sam2_core.volumes import open_frames
from tests.inference.counting_frames import CountingFrames

STACK = np.random.default_rng(0).integers(0, 4000, (3, 40, 50)).astype(np.uint16)


def mirrored(first: int, stop: int, extent: int) -> np.ndarray:
    """Where a window's rows or columns come from: those inside the frame, and their mirror image beyond it."""
    inside = np.arange(max(first, 0), min(stop, extent))
    to_and_fro = np.concatenate([inside, inside[-2:0:-1]])
    return to_and_fro[(np.arange(first, stop) - inside[0]) % len(to_and_fro)]


@settings(deadline=None)
@given(st.integers(-30, 39), st.integers(-30, 49), st.integers(1, 60), st.integers(1, 60), st.integers(0, 2))
def test_a_window_is_a_slice_of_the_padded_frame(top: int, left: int, height: int, width: int, index: int) -> None:
    parent = open_frames(STACK)
    window = Window(top, left, top + height, left + width)
    if not (window & Window(0, 0, 40, 50)).area:
        with pytest.raises(InvalidInputError, match="show nothing"):
            WindowFrames(parent, window)
        return
    rows, columns = mirrored(top, top + height, 40), mirrored(left, left + width, 50)

    shown = WindowFrames(parent, window)

    assert shown.frame_size == (height, width)
    assert len(shown) == 3
    np.testing.assert_array_equal(shown.read(index), parent.read(index)[np.ix_(rows, columns)])
    np.testing.assert_array_equal(shown.read_raw(index), parent.read_raw(index)[np.ix_(rows, columns)])


def test_contrast_is_the_whole_stacks() -> None:
    dark_corner = STACK.copy()
    dark_corner[:, :10, :10] //= 100
    parent = open_frames(dark_corner)
    shown = WindowFrames(parent, Window(0, 0, 10, 10))
    assert shown.contrast_limits == parent.contrast_limits
    assert shown.read(0).max() < 10


def test_only_the_window_is_asked_for() -> None:
    parent = CountingFrames(STACK.astype(np.uint8))
    WindowFrames(parent, Window(-5, 30, 10, 60)).read(1)
    assert parent.window_pixels == 10 * 20
    assert parent.reads == []


def test_where_it_comes_from_and_how_large_its_pixels_are_is_kept() -> None:
    parent = open_frames(STACK)
    parent.spacing, parent.spacing_unit, parent.address = (2.0, 0.5, 0.25), "micrometer", "stack.zarr"
    shown = WindowFrames(parent, Window(0, 0, 5, 5))
    assert (shown.spacing, shown.spacing_unit, shown.address) == ((2.0, 0.5, 0.25), "micrometer", "stack.zarr")


def test_closing_a_window_leaves_the_stack_open() -> None:
    parent = open_frames(STACK)
    WindowFrames(parent, Window(0, 0, 5, 5)).close()
    assert parent.read(0).shape == (40, 50, 3)


def test_frames_that_do_not_exist() -> None:
    with pytest.raises(InvalidInputError, match="no frame 3"):
        WindowFrames(open_frames(STACK), Window(0, 0, 5, 5)).read(3)
