"""What the video predictor hands out for one frame: every object's mask and how sure the model is of it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import torch


@dataclass(frozen=True, eq=False)
class FrameMasks:
    """The masks of all objects on one frame.

    Attributes
    ----------
    frame_index : int
        Index of the frame in the stack, from 0.
    object_ids : list
        The N object ids, in the order of the tensors' first axis.
    logits : torch.Tensor
        (N, 1, H, W) float32 mask logits at the size of the video's frames; above 0 is the object. An object that has
        no result on this frame has -1024 everywhere.
    low_res_logits : torch.Tensor
        (N, 1, h, w) float32 mask logits at a quarter of the model's input size: what ``logits`` was scaled up from.
    predicted_ious : torch.Tensor
        (N,) float32: the IoU the model expects of each mask; NaN where the object has no result on this frame.
    object_scores : torch.Tensor
        (N,) float32 logits: above 0 where the model sees the object on this frame; NaN where it has no result.
    boxes : torch.Tensor
        (N, 4) int64, each (x0, y0, x1, y1) in pixels of the frame, x1 and y1 behind the last pixel, on the CPU: the
        pixels in which an object's mask differs from what was on record before this call (before any non-overlapping
        constraint). All zeros where nothing changed.
    """

    frame_index: int
    object_ids: list[Hashable]
    logits: torch.Tensor
    low_res_logits: torch.Tensor
    predicted_ious: torch.Tensor
    object_scores: torch.Tensor
    boxes: torch.Tensor

    @property
    def masks(self) -> torch.Tensor:
        """(N, H, W) bool: the logits above 0."""
        return self.logits[:, 0] > 0


def box_around(mask: torch.Tensor) -> tuple[int, int, int, int]:
    """Return the box (x0, y0, x1, y1) of an (H, W) mask, x1 and y1 behind its last pixels; zeros if it is empty."""
    rows = torch.nonzero(mask.any(dim=1))
    if not len(rows):
        return 0, 0, 0, 0
    columns = torch.nonzero(mask.any(dim=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
