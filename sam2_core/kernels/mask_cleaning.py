"""Small holes filled and small islands removed, on connected components."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.kernels.connected_components import connected_components
from sam2_core.kernels.mask_components import mask_components

# The scores that cleaned pixels get, as in the official predictors.
FILLED_VIDEO_SCORE = 0.1
IMAGE_SCORE_MARGIN = 10.0


def fill_holes_in_mask_scores(mask: Tensor, max_area: float) -> Tensor:
    """Fill small holes of mask scores, as the video predictor does.

    A hole is an 8-connected region of scores <= 0 of at most `max_area` pixels, also where it touches the border of the
    image; its scores become 0.1.

    Parameters
    ----------
    mask : Tensor
        (B, 1, H, W) floating point logits, foreground above 0. Not changed.
    max_area : float
        Largest area to fill, pixels, above 0.

    Returns
    -------
    Tensor
        (B, 1, H, W), dtype and device of `mask`.

    Raises
    ------
    InvalidInputError
        If `max_area` is not above 0, or the shape is another.
    InvalidTypeError
        If `mask` is no floating point tensor.
    """
    _check_scores(mask)
    if not max_area > 0:
        raise InvalidInputError(
            f"max_area has to be above 0 pixels, got {max_area}; leave the call out to fill nothing"
        )
    return torch.where(_small_components(mask <= 0, max_area), FILLED_VIDEO_SCORE, mask)


def remove_sprinkles(mask: Tensor, max_area: float, *, mask_threshold: float = 0.0) -> Tensor:
    """Remove small islands of mask scores.

    An island is an 8-connected region of scores > `mask_threshold` of at most `max_area` pixels; its scores become
    ``mask_threshold - 10``.

    Parameters
    ----------
    mask : Tensor
        (B, M, H, W) floating point logits. Not changed.
    max_area : float
        Largest area to remove, pixels; 0 or less removes nothing.
    mask_threshold : float
        The logit above which a pixel is foreground.

    Returns
    -------
    Tensor
        (B, M, H, W), dtype and device of `mask`.

    Raises
    ------
    InvalidInputError
        If the shape is not (B, M, H, W).
    InvalidTypeError
        If `mask` is no floating point tensor.
    """
    return clean_mask_scores(mask, mask_threshold=mask_threshold, max_sprinkle_area=max_area)


def clean_mask_scores(
    masks: Tensor, *, mask_threshold: float = 0.0, max_hole_area: float = 0.0, max_sprinkle_area: float = 0.0
) -> Tensor:
    """Fill holes and remove islands of mask scores, as the image predictor does.

    Both are found in the masks as given: filling a hole does not make an island larger. Regions are 8-connected; holes
    become ``mask_threshold + 10``, islands ``mask_threshold - 10``.

    Parameters
    ----------
    masks : Tensor
        (B, M, H, W) floating point logits. Not changed.
    mask_threshold : float
        The logit above which a pixel is foreground.
    max_hole_area, max_sprinkle_area : float
        Largest area to fill and to remove, pixels of `masks`; 0 or less leaves that step out.

    Returns
    -------
    Tensor
        (B, M, H, W), dtype and device of `masks`; `masks` itself where there is nothing to do.

    Raises
    ------
    InvalidInputError
        If the shape is not (B, M, H, W).
    InvalidTypeError
        If `masks` is no floating point tensor.
    """
    _check_scores(masks)
    cleaned = masks
    if max_hole_area > 0:
        holes = _small_components(masks <= mask_threshold, max_hole_area)
        cleaned = torch.where(holes, mask_threshold + IMAGE_SCORE_MARGIN, cleaned)
    if max_sprinkle_area > 0:
        islands = _small_components(masks > mask_threshold, max_sprinkle_area)
        cleaned = torch.where(islands, mask_threshold - IMAGE_SCORE_MARGIN, cleaned)
    return cleaned


def remove_small_regions(
    mask: npt.NDArray[Any], area_thresh: float, mode: Literal["holes", "islands"]
) -> tuple[npt.NDArray[np.bool_], bool]:
    """Remove small holes or islands of one binary mask.

    Parameters
    ----------
    mask : ndarray
        (H, W) bool (or integers 0 and 1). Not changed.
    area_thresh : float
        Regions of fewer pixels than this are removed.
    mode : {"holes", "islands"}
        ``holes`` turns small background regions into foreground, ``islands`` small foreground regions into background;
        where all islands are small, the largest stays (of equals the one met first, row by row).

    Returns
    -------
    mask : ndarray
        (H, W) bool.
    changed : bool
        Whether a region was below the threshold.

    Raises
    ------
    InvalidInputError
        If `mask` is not (H, W), or `mode` is another word.
    InvalidTypeError
        If `mask` is neither bool nor integer.
    """
    mask = np.asarray(mask)
    if mode not in ("holes", "islands"):
        raise InvalidInputError(f'mode has to be "holes" or "islands", got {mode!r}')
    if mask.ndim != 2:
        raise InvalidInputError(f"mask has to be (H, W), got the shape {mask.shape}; clean masks one by one")
    if mask.dtype != np.bool_ and not np.issubdtype(mask.dtype, np.integer):
        raise InvalidTypeError(f"mask has to be bool, got {mask.dtype}; threshold it first, as in `mask > 0`")
    foreground = mask != 0
    regions = ~foreground if mode == "holes" else foreground
    labels, areas = mask_components(regions)
    small = regions & (areas < area_thresh)
    if not small.any():
        return foreground, False
    if mode == "holes":
        return foreground | small, True
    if np.array_equal(small, regions):
        first = int(areas.argmax())  # a pixel of the largest island, the first such in row order
        return labels == labels.flat[first], True
    return regions & ~small, True


def _small_components(regions: Tensor, max_area: float) -> Tensor:
    """Mark the pixels of (B, M, H, W) bool regions whose component has at most `max_area` pixels."""
    _, areas = connected_components(regions.flatten(0, 1).unsqueeze(1))
    # areas are whole numbers, and int32 beside a Python float would be compared as float32
    return regions & (areas <= math.floor(min(max_area, 2**31 - 1))).view_as(regions)


def _check_scores(masks: Tensor) -> None:
    if not isinstance(masks, Tensor):
        raise InvalidTypeError(f"mask scores have to be a torch.Tensor of logits, got {type(masks).__name__}")
    if not masks.is_floating_point():
        raise InvalidTypeError(f"mask scores have to be floating point logits, got {masks.dtype}")
    if masks.ndim != 4:
        raise InvalidInputError(f"mask scores have to be (B, M, H, W), got the shape {tuple(masks.shape)}")
