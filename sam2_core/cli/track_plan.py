"""Which objects are tracked over which frames: one sweep each way, that objects join where they were first prompted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    """Which way to track from the first prompted frame."""

    BOTH = "both"
    FORWARD = "forward"
    BACKWARD = "backward"


@dataclass(frozen=True)
class Stretch:
    """Consecutive frames over which the same objects are tracked.

    Attributes
    ----------
    start : int
        The first frame.
    count : int
        How many frames.
    reverse : bool
        Whether towards the stack's first frame.
    object_ids : tuple of int
        Who is tracked.
    """

    start: int
    count: int
    reverse: bool
    object_ids: tuple[int, ...]

    @property
    def frames(self) -> range:
        """The frames, in the order in which they are tracked."""
        step = -1 if self.reverse else 1
        return range(self.start, self.start + step * self.count, step)


def plan_stretches(first_frames: Mapping[int, int], reach: range, direction: Direction) -> list[Stretch]:
    """Plan one sweep each way, rather than one for each object: every frame is encoded once a sweep, for all.

    Nobody is looked for on frames that come before its first prompted one, since nothing was said about it yet; from
    there on it is tracked with the others. So each object gets what it would get if it were tracked alone, first
    forward, then backward.

    Parameters
    ----------
    first_frames : mapping of int to int
        For each object id, the first frame with a prompt.
    reach : range
        The frames that are looked at; step 1.
    direction : Direction

    Returns
    -------
    list of Stretch
        In the order in which they have to be tracked.
    """
    starts = sorted(set(first_frames.values()))
    stretches: list[Stretch] = []
    if direction is not Direction.BACKWARD:
        for start, stop in zip(starts, [*starts[1:], reach.stop], strict=True):
            present = tuple(sorted(one for one, first in first_frames.items() if first <= start))
            stretches.append(Stretch(start, stop - start, False, present))
    if direction is not Direction.FORWARD:
        for start, stop in zip(reversed(starts), [*reversed(starts[:-1]), reach.start - 1], strict=True):
            present = tuple(sorted(one for one, first in first_frames.items() if first >= start))
            if direction is Direction.BOTH and start == starts[-1]:
                # nobody but those prompted here, who were dealt with on the way forward
                start -= 1
            if start > stop:
                stretches.append(Stretch(start, start - stop, True, present))
    return stretches
