"""SEG and DET of the Cell Tracking Challenge, frame after frame."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from sam2_core.evaluation.frame_threads import Frames
from sam2_core.evaluation.overlap import Overlap, overlaps_of

#: What it costs to make the predicted objects the true ones: to split one, to add one, to remove one.
SPLIT, ADD, REMOVE = 5.0, 10.0, 1.0


def segmentation_score(frames: Frames) -> Mapping[str, float]:
    """SEG: the mean IoU of each true object of each frame with the predicted one that covers more than half of it.

    Parameters
    ----------
    frames : iterable of (ndarray, ndarray)
        Predicted and true labels (y, x).

    Returns
    -------
    dict of str to float
        "SEG", NaN without true objects. An object that nothing covers counts 0.
    """
    total, count = 0.0, 0
    for overlap in overlaps_of(frames):
        count += len(overlap.truth)
        total += sum(overlap.iou(own, other) for other, own in covering(overlap).items())
    return {"SEG": total / count if count else math.nan}


def detection_score(frames: Frames) -> Mapping[str, float]:
    """DET: 1 less the cost of correcting what was found, as a share of the cost of adding all by hand; 0 at least.

    Parameters
    ----------
    frames : iterable of (ndarray, ndarray)
        Predicted and true labels (y, x).

    Returns
    -------
    dict of str to float
        "DET", NaN without true objects.
    """
    cost, count = 0.0, 0
    for overlap in overlaps_of(frames):
        covered = covering(overlap)
        holds = Counter(covered.values())
        cost += ADD * (len(overlap.truth) - len(covered))
        cost += REMOVE * (len(overlap.predicted) - len(holds))
        cost += SPLIT * sum(number - 1 for number in holds.values())
        count += len(overlap.truth)
    return {"DET": 1 - min(cost, ADD * count) / (ADD * count) if count else math.nan}


def covering(overlap: Overlap) -> dict[int, int]:
    """Of each true object the predicted one that covers more than half of it, where there is one."""
    return {other: own for (own, other), shared in overlap.both.items() if 2 * shared > overlap.truth[other]}
