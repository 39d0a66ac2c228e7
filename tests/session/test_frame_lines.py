"""Lines of frames along one of two axes."""

from __future__ import annotations

import pytest

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.session.frame_lines import line_through, only_line
from sam2_core.session.worker.messages import FrameLine
from sam2_core.volumes.frame_grid import FrameGrid

GRID = FrameGrid("tz", (3, 5))


def test_a_line_goes_through_a_frame() -> None:
    assert list(line_through(GRID, "z", 7).frames) == [5, 6, 7, 8, 9]
    assert list(line_through(GRID, "t", 7).frames) == [2, 7, 12]


def test_frames_on_one_line_name_it() -> None:
    assert only_line(GRID, "z", [5, 9]) == FrameLine("z", 5, 10, 1)
    with pytest.raises(InvalidInputError, match="t = 0, 2"):
        only_line(GRID, "z", [0, 11, 14])
    with pytest.raises(InvalidInputError, match="z = 0, 4"):
        only_line(GRID, "t", [0, 9])
    with pytest.raises(StateError, match="nothing to track"):
        only_line(GRID, "z", [])
