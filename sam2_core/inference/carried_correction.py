"""Carrying a correction outward: one loop, whatever the records are in which masks are kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from sam2_core.inference.video_tracker import Cancelled

#: A correction has run out once so many masks in a row come out as they were: the reach of the mask memories.
UNCHANGED_FRAMES = 7

Result = TypeVar("Result")


class CarriedCorrection(ABC, Generic[Result]):
    """A corrected object of a stack, and how its masks are computed anew.

    Parameters
    ----------
    start : int
        The frame on which it was corrected.
    frame_count : int
        Of the stack.
    """

    def __init__(self, start: int, frame_count: int) -> None:
        self.start = start
        self.frame_count = frame_count

    @abstractmethod
    def is_there(self) -> bool:
        """Whether the object was not removed meanwhile."""

    @abstractmethod
    def may_change(self, frame: int) -> bool:
        """Whether the object was tracked on a frame, and is neither prompted nor locked there."""

    @abstractmethod
    def compute(self, frame: int, step: int) -> tuple[Result, bool]:
        """Track the object to a frame from the one before; return what was found, and whether its mask is another.

        Raises
        ------
        Cancelled
            The work was given up, and nothing changed.
        """

    def set_out(self, step: int) -> None:
        """Get ready to go in a direction, 1 or -1."""

    def come_to_rest(self) -> None:
        """Leave frames that were not reached as they were; called after each direction, also one that is given up."""

    def frames(self, should_stop: Callable[[], bool] | None) -> Iterator[Result]:
        """Compute the masks anew forward and then backward, each when it is asked for.

        In each direction until a frame that may not change, or until seven masks in a row come out unchanged.

        Parameters
        ----------
        should_stop : callable, optional
            Asked before each frame; once it says True the iteration ends.
        """
        for step in (1, -1):
            if not self.is_there():
                return
            self.set_out(step)
            try:
                unchanged = 0
                frame = self.start + step
                while unchanged < UNCHANGED_FRAMES and 0 <= frame < self.frame_count:
                    if not self.is_there() or (should_stop is not None and should_stop()):
                        return
                    if not self.may_change(frame):
                        break
                    try:
                        result, is_other = self.compute(frame, step)
                    except Cancelled:
                        return
                    unchanged = 0 if is_other else unchanged + 1
                    yield result
                    frame += step
            finally:
                self.come_to_rest()
