"""Overlap of labels with the truth, added up frame after frame."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from sam2_core.evaluation.frame_threads import Frames
from sam2_core.evaluation.overlap import overlap_of


def object_iou(frames: Frames, *, by_number: bool = False) -> Mapping[str, float]:
    """IoU of each true object with the predicted one that shares the most pixels with it, through the whole stack.

    Parameters
    ----------
    frames : iterable of (ndarray, ndarray)
        Predicted and true labels (y, x).
    by_number : bool
        Compare with the predicted object of the same number instead: where objects were prompted one by one.

    Returns
    -------
    dict of str to float
        "mean IoU" over the true objects, NaN without any; "found", the share of them with an IoU above 0.5.
    """
    overlap = overlap_of(frames)
    predicted, truth, both = overlap.predicted, overlap.truth, overlap.both
    best: dict[int, tuple[int, float]] = {}
    for (ours, real), shared in both.items():
        if by_number and ours != real:
            continue
        iou = shared / (predicted[ours] + truth[real] - shared)
        best[real] = max(best.get(real, (0, 0.0)), (shared, iou))
    ious = [best.get(real, (0, 0.0))[1] for real in truth]
    if not ious:
        return {"mean IoU": math.nan, "found": math.nan}
    return {"mean IoU": float(np.mean(ious)), "found": float(np.mean([iou > 0.5 for iou in ious]))}


def foreground_iou(frames: Frames) -> Mapping[str, float]:
    """IoU of all objects together.

    Parameters
    ----------
    frames : iterable of (ndarray, ndarray)
        Predicted and true labels (y, x).

    Returns
    -------
    dict of str to float
        "IoU", NaN where both are empty everywhere.
    """
    shared = either = 0
    for ours, real in frames:
        shared += int(np.count_nonzero((ours != 0) & (real != 0)))
        either += int(np.count_nonzero((ours != 0) | (real != 0)))
    return {"IoU": shared / either if either else math.nan}
