"""The official samplers of boxes and correction clicks. Coordinates are (x, y) pixels; masks are (B, 1, H, W) bool.

They draw from torch's random numbers in the official order: the same seed gives the same prompts.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from sam2_core.errors import InvalidInputError


def mask_to_box(masks: Tensor) -> Tensor:
    """Find the boxes around masks.

    Parameters
    ----------
    masks : Tensor
        (B, 1, H, W) bool.

    Returns
    -------
    Tensor
        (B, 1, 4) int32: first and last column and row with a pixel, as x0, y0, x1, y1; W, H, -1, -1 for an empty mask.
    """
    sides = [_extent(masks.any(dim=-2)), _extent(masks.any(dim=-1))]
    return torch.stack([side[index] for index in (0, 1) for side in sides], dim=-1)


def sample_box_points(
    masks: Tensor, noise: float = 0.1, noise_bound: int = 20, top_left_label: int = 2, bottom_right_label: int = 3
) -> tuple[Tensor, Tensor]:
    """Draw a box around each mask, its sides off by up to ``noise`` of its size and at most ``noise_bound`` pixels.

    Returns
    -------
    coords : Tensor
        (B, 2, 2): upper left and lower right corner.
    labels : Tensor
        (B, 2) int32.
    """
    boxes = mask_to_box(masks)
    count, _, height, width = masks.shape
    labels = torch.tensor([top_left_label, bottom_right_label], dtype=torch.int32, device=masks.device)
    if noise > 0.0:
        sides = (boxes[..., 2:] - boxes[..., :2]) * noise
        largest = sides.clamp(max=float(noise_bound)).repeat(1, 1, 2)
        shift = 2 * torch.rand(count, 1, 4, device=masks.device) - 1
        limits = torch.tensor([width, height, width, height], device=masks.device) - 1
        boxes = torch.minimum((boxes + shift * largest).clamp(min=0), limits)
    return boxes.reshape(-1, 2, 2), labels.repeat(count, 1)


def sample_random_points_from_errors(
    gt_masks: Tensor, pred_masks: Tensor | None, num_pt: int = 1
) -> tuple[Tensor, Tensor]:
    """Draw clicks anywhere in the errors of predictions.

    Parameters
    ----------
    gt_masks : Tensor
    pred_masks : Tensor or None
        None for empty predictions.
    num_pt : int
        Clicks for each mask.

    Returns
    -------
    points : Tensor
        (B, num_pt, 2) float32.
    labels : Tensor
        (B, num_pt) int32: 1 where the prediction missed the object, 0 where it went too far. A prediction without
        errors gets clicks on the background.
    """
    missed, extra = _errors(gt_masks, pred_masks)
    if num_pt < 0:
        raise InvalidInputError(f"num_pt is 0 or more, got {num_pt}")
    count, _, height, width = gt_masks.shape
    flawless = ~(missed | extra).flatten(1).any(dim=1).view(-1, 1, 1, 1)
    allowed = torch.stack([extra | (flawless & ~gt_masks), missed], dim=-1)
    lottery = torch.rand(count, num_pt, height, width, 2, device=gt_masks.device) * allowed
    winner = lottery.flatten(2).argmax(dim=2)
    pixel = winner // 2
    points = torch.stack([pixel % width, pixel // width], dim=2).float()
    return points, (winner % 2).to(torch.int32)


def sample_one_point_from_error_center(
    gt_masks: Tensor, pred_masks: Tensor | None, padding: bool = True
) -> tuple[Tensor, Tensor]:
    """Click each prediction's error where it is farthest from the error's border (Sofiiuk et al. 2022, RITM).

    Parameters
    ----------
    gt_masks : Tensor
    pred_masks : Tensor or None
        None for empty predictions.
    padding : bool
        Whether the border of the image is a border of the error.

    Returns
    -------
    points : Tensor
        (B, 1, 2) float32.
    labels : Tensor
        (B, 1) int32: 1 where the prediction missed the object, 0 where it went too far (and where nothing is wrong).
    """
    width = gt_masks.shape[-1]
    points, labels = [], []
    for pair in zip(*(errors[:, 0].cpu().numpy() for errors in _errors(gt_masks, pred_masks)), strict=True):
        missed_depth, extra_depth = (_depth(error, padding) for error in pair)
        positive = bool(missed_depth.max() > extra_depth.max())
        pixel = int((missed_depth if positive else extra_depth).argmax())
        points.append([[pixel % width, pixel // width]])
        labels.append([int(positive)])
    device = gt_masks.device
    return (
        torch.tensor(points, dtype=torch.float32, device=device).view(-1, 1, 2),
        torch.tensor(labels, dtype=torch.int32, device=device).view(-1, 1),
    )


def get_next_point(gt_masks: Tensor, pred_masks: Tensor | None, method: str) -> tuple[Tensor, Tensor]:
    """Click an error: anywhere in it (``method="uniform"``) or in its middle (``"center"``)."""
    if method == "uniform":
        return sample_random_points_from_errors(gt_masks, pred_masks)
    if method == "center":
        return sample_one_point_from_error_center(gt_masks, pred_masks)
    raise InvalidInputError(f'method is "uniform" or "center", got {method!r}')


def _errors(truth: Tensor, predicted: Tensor | None) -> tuple[Tensor, Tensor]:
    """What predictions missed, and what they have too much."""
    predicted = torch.zeros_like(truth) if predicted is None else predicted
    if truth.dtype != torch.bool or predicted.dtype != torch.bool or truth.ndim != 4 or truth.shape[1] != 1:
        raise InvalidInputError(
            f"masks have to be bool (B, 1, H, W), got {truth.dtype} {tuple(truth.shape)} and {predicted.dtype}"
        )
    if predicted.shape != truth.shape:
        raise InvalidInputError(f"masks differ in shape: {tuple(truth.shape)} and {tuple(predicted.shape)}")
    return truth & ~predicted, predicted & ~truth


def _depth(
    error: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], padding: bool
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Distance of each pixel of an error (y, x) to its border; 0 outside."""
    if padding:
        depth: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = ndimage.distance_transform_edt(np.pad(error, 1))
        return depth[1:-1, 1:-1]
    depth = ndimage.distance_transform_edt(error)
    return depth


def _extent(occupied: Tensor) -> tuple[Tensor, Tensor]:
    """First and last true position along the last axis; its length and -1 where there is none."""
    length = occupied.shape[-1]
    positions = torch.arange(length, dtype=torch.int32, device=occupied.device)
    return torch.where(occupied, positions, length).amin(dim=-1), torch.where(occupied, positions, -1).amax(dim=-1)
