"""Which of an image's candidate masks "segment everything" keeps: those above the thresholds, each object once.

Plain numbers in and out, so that whoever kept the candidates can choose anew without the network, and without torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]


def chosen_masks(
    boxes: Floats,
    predicted_ious: Floats,
    stability_scores: Floats,
    crop_boxes: npt.NDArray[Any],
    *,
    pred_iou_thresh: float,
    stability_score_thresh: float,
    box_nms_thresh: float,
    crop_nms_thresh: float | None,
) -> npt.NDArray[np.int64]:
    """Choose among candidates as :class:`~sam2_core.SAM2AutomaticMaskGenerator` does.

    Parameters
    ----------
    boxes : ndarray
        (N, 4): first and last column and row of each mask as x0, y0, x1, y1, in pixels of the image.
    predicted_ious, stability_scores : ndarray
        (N,)
    crop_boxes : ndarray
        (N, 4): the crop that each was found in.
    pred_iou_thresh, stability_score_thresh, box_nms_thresh : float
        See :class:`~sam2_core.SAM2AutomaticMaskGenerator`.
    crop_nms_thresh : float, optional
        None where the image was looked at as a whole only.

    Returns
    -------
    ndarray of int64
        Indices: the best first, or with several crops those of the smallest crops first.
    """
    good = np.ones(len(boxes), bool)
    if pred_iou_thresh > 0:
        good &= np.asarray(predicted_ious, np.float32) > np.float32(pred_iou_thresh)
    if stability_score_thresh > 0:
        good &= np.asarray(stability_scores) >= stability_score_thresh
    crops, crop_of = np.unique(np.asarray(crop_boxes).reshape(-1, 4), axis=0, return_inverse=True)
    # in the order in which the crops came
    order = sorted(range(len(crops)), key=lambda crop: int(np.flatnonzero(crop_of.reshape(-1) == crop)[0]))
    kept = []
    for crop in order:
        inside = np.flatnonzero(good & (crop_of.reshape(-1) == crop))
        kept.append(inside[distinct(boxes[inside], predicted_ious[inside], box_nms_thresh)])
    chosen: npt.NDArray[np.int64] = np.concatenate([np.zeros(0, np.int64), *kept])
    if crop_nms_thresh is not None:
        sides = np.asarray(crop_boxes, np.float32)[chosen]
        smallness = 1 / ((sides[:, 2] - sides[:, 0]) * (sides[:, 3] - sides[:, 1]))
        chosen = chosen[distinct(boxes[chosen], smallness, crop_nms_thresh)]
    return chosen


def distinct(boxes: Floats, scores: Floats, most_overlap: float) -> npt.NDArray[np.int64]:
    """Non-maximum suppression as torchvision has it: of boxes whose IoU is greater, the one with the best score stays.

    Parameters
    ----------
    boxes : ndarray
        (N, 4) as x0, y0, x1, y1.
    scores : ndarray
        (N,); of equal ones the first is the better.
    most_overlap : float

    Returns
    -------
    ndarray of int64
        Indices of those that stay, best first.
    """
    left = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    corners = np.asarray(boxes, np.float32).reshape(-1, 4)
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        left = left[~(overlaps(corners[best], corners[left]).astype(np.float64) > most_overlap)]
    return np.array(kept, np.int64)


def overlaps(box: Floats, boxes: Floats) -> Floats:
    """IoU of a box (4,) with others (N, 4), as torchvision computes it; NaN for two empty ones."""
    shared = intersections(box, boxes)
    with np.errstate(invalid="ignore"):
        found: Floats = shared / (areas(box) + areas(boxes) - shared)
    return found


def intersections(box: Floats, boxes: Floats) -> Floats:
    """Area that a box (4,) shares with others (N, 4)."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared: Floats = sides.clip(min=0).prod(axis=1)
    return shared


def areas(boxes: Floats) -> Floats:
    """Width times height of boxes (…, 4)."""
    found: Floats = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return found
