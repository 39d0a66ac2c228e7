"""Spans of frames of several objects, cut so that objects go together wherever they can, and frames are read once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

#: Frames that are gone over one after another, backward with a negative step, and who is tracked; None for all objects.
Stretch: TypeAlias = tuple[range, Sequence[Hashable] | None]


def shared_spans(spans: Sequence[tuple[int, int, Hashable]]) -> list[tuple[int, int, list[Hashable]]]:
    """Cut spans of single objects into spans in which the same objects go together.

    Parameters
    ----------
    spans : sequence of (int, int, hashable)
        First frame, the one after the last, and the object; empty ones are left out.

    Returns
    -------
    list of (int, int, list of hashable)
        In order, none with two same frames.
    """
    borders = sorted({border for start, stop, _ in spans if start < stop for border in (start, stop)})
    shared = [
        (start, stop, [object_id for first, last, object_id in spans if first <= start and stop <= last])
        for start, stop in pairwise(borders)
    ]
    return [span for span in shared if span[2]]


def stretches_from(
    firsts: Mapping[Hashable, int],
    count: int | None,
    frame_count: int,
    direction: Literal["forward", "backward", "both"],
) -> list[Stretch]:
    """List the frames to go over where each object begins at a frame of its own.

    Parameters
    ----------
    firsts : mapping of hashable to int
        For each object its first frame; "both" goes backward from the frame before it.
    count : int or None
        For how many frames an object is followed in each direction at most.
    frame_count : int
    direction : {"forward", "backward", "both"}

    Returns
    -------
    list of (range, sequence of hashable or None)
        First forward and then backward, each frame once a direction; who is tracked there, None where all are.
    """
    reach = frame_count if count is None else count
    ahead, behind = [], []
    for object_id, first in firsts.items():
        ahead.append((first, min(first + reach, frame_count), object_id))
        stop = first if direction == "both" else first + 1
        behind.append((max(stop - reach, 0), stop, object_id))
    stretches: list[Stretch] = []
    if direction != "backward":
        stretches += [(range(start, stop), objects) for start, stop, objects in shared_spans(ahead)]
    if direction != "forward":
        backward = reversed(shared_spans(behind))
        stretches += [(range(stop - 1, start - 1, -1), objects) for start, stop, objects in backward]
    return [
        (frames, None if objects is not None and len(objects) == len(firsts) else objects)
        for frames, objects in stretches
    ]
