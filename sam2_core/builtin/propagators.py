"""The built-in propagators."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from itertools import pairwise

from sam2_core.errors import StateError
from sam2_core.hooks import FrameDone, Propagator, Tracking, hookimpl
from sam2_core.hooks.frame_spans import shared_spans


def forward(tracking: Tracking) -> Iterator[FrameDone]:
    """Track towards the last frame, each object from its first prompt on."""
    for frames, objects in tracking.stretches("forward"):
        yield from tracking.sweep(frames, objects)


def backward(tracking: Tracking) -> Iterator[FrameDone]:
    """Track towards the first frame, each object from its first prompt on."""
    for frames, objects in tracking.stretches("backward"):
        yield from tracking.sweep(frames, objects)


def both(tracking: Tracking) -> Iterator[FrameDone]:
    """Track towards the last frame, and from where that began towards the first, each object from its first prompt."""
    for frames, objects in tracking.stretches("both"):
        yield from tracking.sweep(frames, objects)


def inward(tracking: Tracking) -> Iterator[FrameDone]:
    """Track from both ends towards the start: what is remembered on a frame is not what it was on the way there."""
    for frames, objects in reversed(tracking.stretches("both")):
        yield from tracking.sweep(frames[::-1], objects)


def between_corrections(tracking: Tracking) -> Iterator[FrameDone]:
    """Track only between prompted or locked frames, each frame from the nearer one.

    With a start, that is the frame that was corrected: only as far as the next such frames on both sides of it.

    Raises
    ------
    StateError
        No object has two such frames, with frames between them.
    """
    ahead: list[tuple[int, int, Hashable]] = []
    behind: list[tuple[int, int, Hashable]] = []
    for object_id in tracking.objects:
        for first, last in _gaps(tracking, object_id):
            # from the nearer mask of a person's; the one in the middle from the earlier
            middle = (first + last) // 2 + 1
            ahead.append((*_within_reach(tracking, first + 1, middle), object_id))
            behind.append((*_within_reach(tracking, middle, last), object_id))
    together = shared_spans(ahead), shared_spans(behind)
    if not any(together):
        raise StateError(
            "There is nothing between corrections: no object has prompted or locked frames on both sides of a frame "
            "that is to be tracked. Correct or lock another frame, or choose another propagator."
        )
    for start, stop, objects in together[0]:
        yield from tracking.sweep(range(start, stop), objects)
    for start, stop, objects in reversed(together[1]):
        yield from tracking.sweep(range(stop - 1, start - 1, -1), objects)


def _gaps(tracking: Tracking, object_id: Hashable) -> list[tuple[int, int]]:
    """Neighbouring frames of an object with a mask of a person's; round the start, where there is one."""
    gaps = list(pairwise(tracking.fixed_frames(object_id)))
    if tracking.start is None:
        return gaps
    return [(first, last) for first, last in gaps if first <= tracking.start <= last]


def _within_reach(tracking: Tracking, start: int, stop: int) -> tuple[int, int]:
    """Leave out frames that are farther from the start than was asked for."""
    if tracking.start is None or tracking.count is None:
        return start, stop
    return max(start, tracking.start - tracking.count + 1), min(stop, tracking.start + tracking.count)


@hookimpl
def sam2_propagators() -> Iterable[Propagator]:
    """List them in the order in which they are offered."""
    return [
        Propagator("both", "forward from each object's first prompt, and from there backward", propagate=both),
        Propagator("forward", "towards the last frame", propagate=forward),
        Propagator("backward", "towards the first frame", propagate=backward),
        Propagator(
            "between-corrections",
            "only between prompted or locked frames, each frame from the nearer one",
            propagate=between_corrections,
        ),
        Propagator("inward", "from both ends towards the start, as a second opinion", propagate=inward),
    ]
