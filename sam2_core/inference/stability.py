"""How much a mask changes when its threshold is moved."""

from __future__ import annotations

import torch
from torch import Tensor


def calculate_stability_score(masks: Tensor, mask_threshold: float, threshold_offset: float) -> Tensor:
    """Compare each mask at a higher and a lower threshold.

    Parameters
    ----------
    masks : Tensor
        (..., y, x) logits.
    mask_threshold : float
        The threshold in the middle.
    threshold_offset : float
        By how much it is moved up and down.

    Returns
    -------
    Tensor
        (...,) float32 in 0-1: the IoU of the two masks, of which one contains the other; 0 where both are empty.
    """
    inner = torch.count_nonzero(masks > mask_threshold + threshold_offset, dim=(-2, -1))
    outer = torch.count_nonzero(masks > mask_threshold - threshold_offset, dim=(-2, -1))
    return inner / outer.clamp(min=1)
