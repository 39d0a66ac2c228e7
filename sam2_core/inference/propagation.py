"""One propagation: over which frames it goes, its options, and which objects it has given up."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Literal

from sam2_core.inference.tracked_object import TrackedObject

Direction = Literal["forward", "backward", "both"]


class Propagation:
    """Options of one propagation, and which objects it has given up.

    Parameters
    ----------
    keep_corrections : bool
    stop_when_empty : int or None
    should_stop : callable or None
    already : container of int
    """

    def __init__(
        self,
        keep_corrections: bool,
        stop_when_empty: int | None,
        should_stop: Callable[[], bool] | None,
        already: Container[int] = (),
    ) -> None:
        self.already = already
        self.keep_corrections = keep_corrections
        self.stop_when_empty = stop_when_empty
        self.should_stop = should_stop
        self._empty: dict[int, int] = {}
        self._end: tuple[int, int] | None = None

    def begin(self, frames: range) -> None:
        """Begin a pass over frames; where it goes on from the one before, objects that were given up stay so."""
        if self._end != (frames.start, frames.step):
            self._empty.clear()
        self._end = frames.stop, frames.step

    def has_given_up(self, tracked: TrackedObject, frame_index: int) -> bool:
        """Whether an object is not tracked to a frame; a conditioning frame brings it back."""
        if self.stop_when_empty is None:
            return False
        if frame_index in tracked.conditioning:
            self._empty[tracked.number] = 0
        return self._empty.get(tracked.number, 0) >= self.stop_when_empty

    def note(self, objects: Sequence[TrackedObject], frame_index: int) -> None:
        """Go past a frame that was tracked earlier."""
        active = [each for each in objects if each.conditioning and not self.has_given_up(each, frame_index)]
        self.count_empty(active, frame_index)

    def count_empty(self, objects: Sequence[TrackedObject], frame_index: int) -> None:
        """Count for how long objects have been empty."""
        if self.stop_when_empty is None:
            return
        for tracked in objects:
            record = tracked.latest(frame_index)
            is_empty = record is None or not bool(record.mask.any())
            self._empty[tracked.number] = self._empty.get(tracked.number, 0) + 1 if is_empty else 0


def passes_over(start: int, count: int | None, num_frames: int, direction: Direction) -> list[tuple[range, bool]]:
    """List the frames to go over, and whether backwards.

    Parameters
    ----------
    start : int
        The first frame; "both" goes backwards from the frame before it.
    count : int or None
        How many frames in each direction at most.
    num_frames : int
    direction : {"forward", "backward", "both"}
    """
    passes = []
    if direction in ("forward", "both"):
        ahead = num_frames - start if count is None else min(count, num_frames - start)
        passes.append((range(start, start + ahead), False))
    if direction in ("backward", "both"):
        first = start - 1 if direction == "both" else start
        behind = first + 1 if count is None else min(count, first + 1)
        passes.append((range(first, first - behind, -1), True))
    return passes
