"""How much work a propagation is, before it begins."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from sam2_core.hooks.frame_spans import stretches_from
from sam2_core.session.worker.messages import Propagate


def propagation_size(request: Propagate, object_ids: Sequence[int], line: range) -> tuple[int, int]:
    """Count what a propagation goes over; where its propagator chooses the frames itself, what "both" would.

    Parameters
    ----------
    request : Propagate
    object_ids : sequence of int
        Who of its objects is still there.
    line : range
        The frames that it may go over.

    Returns
    -------
    frames : int
        One that is gone over in both directions counts twice.
    steps : int
        The sum of the objects on each of them.
    """
    firsts: dict[Hashable, int] = {
        one.id: line.index(min(one.frame_numbers()) if request.start is None else request.start)
        for one in request.objects
        if one.id in object_ids and one.frames
    }
    direction: Any = request.propagator if request.propagator in ("forward", "backward") else "both"
    stretches = stretches_from(firsts, request.count, len(line), direction)
    lengths = [(len(frames), len(firsts) if objects is None else len(objects)) for frames, objects in stretches]
    return sum(frames for frames, _ in lengths), sum(frames * objects for frames, objects in lengths)
