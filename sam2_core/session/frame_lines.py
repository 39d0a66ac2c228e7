"""Lines of the frames of a session over two axes, along one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.session.worker.messages import FrameLine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sam2_core.volumes.frame_grid import FrameGrid


def line_through(grid: FrameGrid, axis: str, frame: int) -> FrameLine:
    """The frames along an axis through a frame.

    Raises
    ------
    InvalidInputError
        There is no such axis.
    """
    frames = grid.line(axis, frame)
    return FrameLine(axis, frames.start, frames.stop, frames.step)


def only_line(grid: FrameGrid, axis: str, frames: Iterable[int]) -> FrameLine:
    """The one line along an axis on which all of some frames lie.

    Raises
    ------
    StateError
        There are no frames.
    InvalidInputError
        There is no such axis, or they lie on several lines.
    """
    lines = {line_through(grid, axis, frame) for frame in frames}
    other = grid.other(axis)
    if not lines:
        raise StateError("There is nothing to track: click on an object first.")
    if len(lines) > 1:
        places = ", ".join(str(place) for place in sorted(grid.position(line.start)[other] for line in lines))
        raise InvalidInputError(
            f"Objects have prompts or locked masks at {other} = {places}; say from which frame to track along {axis}, "
            f"with start=session.frame_at(…)."
        )
    return lines.pop()
