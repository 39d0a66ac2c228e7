"""Average precision of instances without scores, as StarDist and Cellpose report it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from sam2_core.evaluation.frame_threads import Frames
from sam2_core.evaluation.overlap import Overlap, overlap_of, overlaps_of

#: IoU from which a predicted object is a true one.
THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))


def average_precision(frames: Frames, *, by_frame: bool = False) -> Mapping[str, float]:
    """TP / (TP + FP + FN) at IoU 0.5, 0.55, … 0.95, and the mean of these.

    Parameters
    ----------
    frames : iterable of (ndarray, ndarray)
        Predicted and true labels (y, x); a number means the same object throughout, but not in both.
    by_frame : bool
        Take the objects of each frame by themselves; otherwise each through the whole stack.

    Returns
    -------
    dict of str to float
        "AP" (the mean), "AP50", "AP75", …; NaN where there are no objects at all.
    """
    overlaps = list(overlaps_of(frames)) if by_frame else [overlap_of(frames)]
    true = sum(len(one.truth) for one in overlaps)
    said = sum(len(one.predicted) for one in overlaps)
    ious = np.sort(np.concatenate([matched_ious(one) for one in overlaps])) if overlaps else np.zeros(0)
    found = {}
    for threshold in THRESHOLDS:
        # rational numbers of small whole ones: what is meant to be 0.55 is not to fail by a rounding error
        right = int(np.count_nonzero(ious >= threshold - 1e-9))
        found[f"AP{round(100 * threshold)}"] = right / (true + said - right) if true + said else math.nan
    return {"AP": float(np.mean(list(found.values()))), **found}


def matched_ious(overlap: Overlap) -> np.ndarray:
    """IoU of pairs (predicted, true), of at least 0.5, each object in one pair at most, the best first."""
    pairs = sorted(((overlap.iou(*pair), pair) for pair in overlap.both), key=lambda item: (-item[0], item[1]))
    taken: tuple[set[int], set[int]] = (set(), set())
    ious = []
    for iou, (own, other) in pairs:
        if iou >= 0.5 and own not in taken[0] and other not in taken[1]:
            taken[0].add(own)
            taken[1].add(other)
            ious.append(iou)
    return np.array(ious, np.float64)
