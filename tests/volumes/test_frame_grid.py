"""Frames over two axes have numbers and places, and lines go through them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.volumes.frame_grid import FrameGrid

sizes = st.tuples(st.integers(1, 7), st.integers(1, 7))


@given(sizes)
def test_numbers_are_those_of_an_array_that_is_flattened(sizes: tuple[int, int]) -> None:
    grid = FrameGrid("tz", sizes)
    numbers = np.arange(len(grid)).reshape(sizes)

    for (t, z), frame in np.ndenumerate(numbers):
        assert grid.frame({"z": z, "t": t}) == frame
        assert grid.position(frame) == {"t": t, "z": z}
        assert list(grid.line("z", frame)) == numbers[t].tolist()
        assert list(grid.line("t", frame)) == numbers[:, z].tolist()


def test_axes() -> None:
    grid = FrameGrid("tz", (3, 5))

    assert (grid.size("t"), grid.size("z")) == (3, 5)
    assert (grid.other("t"), grid.other("z")) == ("z", "t")


@pytest.mark.parametrize("positions", [{}, {"t": 0}, {"t": 0, "z": 0, "c": 0}, {"t": 3, "z": 0}, {"t": 0, "z": -1}])
def test_places_that_are_not_there(positions: dict[str, int]) -> None:
    with pytest.raises(InvalidInputError):
        FrameGrid("tz", (3, 5)).frame(positions)


def test_a_position_is_an_integer() -> None:
    with pytest.raises(InvalidTypeError, match=r"1\.5"):
        FrameGrid("tz", (3, 5)).frame({"t": 1.5, "z": 0})  # type: ignore[dict-item]


@pytest.mark.parametrize("axis", ["y", "tz", ""])
def test_axes_that_are_not_there(axis: str) -> None:
    with pytest.raises(InvalidInputError, match="t and z"):
        FrameGrid("tz", (3, 5)).line(axis, 0)
