"""Some frames of a stack as a stack of their own."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError
from sam2_core.inference.stack_line import StackLine
from sam2_core.volumes import open_volume

PIXELS = np.random.default_rng(0).integers(0, 50_000, (4, 20, 30)).astype(np.uint16)


def test_it_reads_the_frames_of_the_stack_as_that_shows_them() -> None:
    stack = open_volume(PIXELS, axes="zyx", scale={"z": 3.0}).stack("z")
    line = StackLine(stack, [3, 1], "t")

    assert (len(line), line.axis, line.spacing) == (2, "t", (3.0, 1.0, 1.0))
    for place, frame in enumerate((3, 1)):
        assert np.array_equal(line.read(place), stack.read(frame)), "the contrast is that of the whole"
        assert np.array_equal(line.read_raw(place), stack.read_raw(frame))
    line.close()
    assert stack.read(0).any()


def test_frames_that_are_not_there() -> None:
    stack = open_volume(PIXELS, axes="zyx").stack("z")
    with pytest.raises(InvalidInputError, match="no frame 4"):
        StackLine(stack, [0, 4], "z")
    with pytest.raises(InvalidInputError, match="At least one frame"):
        StackLine(stack, [], "z")
