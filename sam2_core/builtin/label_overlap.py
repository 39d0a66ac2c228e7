"""Overlap of labels with the truth, added up frame after frame."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Frames: TypeAlias = Iterable[tuple[NDArray[Any], NDArray[Any]]]


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
    predicted, truth, both = _areas(frames)
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


def _areas(frames: Frames) -> tuple[Counter[int], Counter[int], Counter[tuple[int, int]]]:
    """Pixels of each predicted object, of each true one, and of each pair that shares some."""
    predicted: Counter[int] = Counter()
    truth: Counter[int] = Counter()
    both: Counter[tuple[int, int]] = Counter()
    for ours, real in frames:
        pairs, counts = np.unique(np.stack([ours.ravel(), real.ravel()]), axis=1, return_counts=True)
        for own, other, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
            if own:
                predicted[own] += count
            if other:
                truth[other] += count
            if own and other:
                both[own, other] += count
    return predicted, truth, both
