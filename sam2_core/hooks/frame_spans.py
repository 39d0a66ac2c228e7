"""Spans of frames of several objects, cut so that objects go together wherever they can, and frames are read once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import pairwise


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
