"""Losses of :mod:`sam2_core.training.losses` as plugins have them: one for each candidate mask, (B, M)."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor

from sam2_core.training.losses import balanced_loss, dice_loss, focal_loss, local_loss


def focal(logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Mean focal loss over the pixels of a mask; see :func:`~sam2_core.training.losses.focal_loss`."""
    return focal_loss(logits, targets.expand_as(logits), alpha, gamma).flatten(2).mean(dim=-1)


def dice(logits: Tensor, targets: Tensor) -> Tensor:
    """See :func:`~sam2_core.training.losses.dice_loss`."""
    return dice_loss(logits, targets.expand_as(logits), 1.0, loss_on_multimask=True)


def balanced(logits: Tensor, targets: Tensor, *, near: Annotated[int, {"min": 1}] = 5) -> Tensor:
    """See :func:`~sam2_core.training.losses.balanced_loss`."""
    return balanced_loss(logits, targets, near)


def local(logits: Tensor, targets: Tensor, *, near: Annotated[int, {"min": 1}] = 4, far: float = 0.3) -> Tensor:
    """See :func:`~sam2_core.training.losses.local_loss`."""
    return local_loss(logits, targets, near, far)
