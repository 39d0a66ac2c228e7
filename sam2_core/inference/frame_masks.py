"""What the video predictor hands out for one frame: every object's mask and how sure the model is of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch

from sam2_core.inference.logit_scaling import LogitScaler, logit_scaler
from sam2_core.inference.tile_grid import Window


@dataclass(frozen=True, eq=False)
class FrameMasks:
    """The masks of all objects on one frame.

    What has the size of the frame is made when it is asked for: hundreds of masks may take more than the frame's
    network does. :meth:`part` gives a mask where it is.

    Attributes
    ----------
    frame_index : int
        Index of the frame in the stack, from 0.
    object_ids : list
        The N object ids, in the order of the tensors' first axis.
    frame_size : (int, int)
        (H, W) of the frame.
    low_res_logits : torch.Tensor
        (N, 1, h, w) float32 mask logits at a quarter of the model's input size: what ``logits`` is scaled up from.
    predicted_ious : torch.Tensor
        (N,) float32: the IoU the model expects of each mask; NaN where the object has no result on this frame.
    object_scores : torch.Tensor
        (N,) float32 logits: above 0 where the model sees the object on this frame; NaN where it has no result.
    replaced : mapping of int to torch.Tensor or None
        By position in ``object_ids``, of the objects that this call computed anew: the low-resolution logits (1, 1, h,
        w) that were on record before, or None.
    constraint : callable, optional
        Applied to logits (N, 1, H, W), so that objects exclude each other.
    """

    frame_index: int
    object_ids: list[Hashable]
    frame_size: tuple[int, int]
    low_res_logits: torch.Tensor
    predicted_ious: torch.Tensor
    object_scores: torch.Tensor
    replaced: Mapping[int, torch.Tensor | None] = field(default_factory=dict, repr=False)
    constraint: Callable[[torch.Tensor], torch.Tensor] | None = field(default=None, repr=False)

    @cached_property
    def logits(self) -> torch.Tensor:
        """(N, 1, H, W) float32 mask logits at the size of the video's frames; above 0 is the object.

        An object that has no result on this frame has -1024 everywhere. Kept once made.
        """
        whole = self._scaler.whole(self.low_res_logits)
        return whole if self.constraint is None else self.constraint(whole)

    @property
    def masks(self) -> torch.Tensor:
        """(N, H, W) bool: the logits above 0."""
        masks = torch.zeros(len(self.object_ids), *self.frame_size, dtype=torch.bool, device=self.low_res_logits.device)
        for row, mask in enumerate(masks):
            window, logits = self.part(row)
            mask[window.rows, window.columns] = logits > 0
        return masks

    @cached_property
    def boxes(self) -> torch.Tensor:
        """(N, 4) int64, each (x0, y0, x1, y1) in pixels of the frame, x1 and y1 behind the last pixel, on the CPU.

        The pixels in which an object's mask differs from what was on record before this call (before any
        non-overlapping constraint). All zeros where nothing changed.
        """
        boxes = torch.zeros(len(self.object_ids), 4, dtype=torch.int64)
        for row, before in self.replaced.items():
            boxes[row] = torch.tensor(self._change(row, before))
        return boxes

    def part(self, row: int) -> tuple[Window, torch.Tensor]:
        """Return an object's logits where its mask can be, without making those of the whole frame.

        Parameters
        ----------
        row : int
            Position of the object in ``object_ids``.

        Returns
        -------
        window : Window
            Pixels of the frame; outside of it no logit is above 0. Of size 0 where there is no mask.
        logits : torch.Tensor
            (y, x) of the window's size: a part of ``logits``, bit by bit.
        """
        window = self._windows[row]
        if self.constraint is not None:
            return window, self.logits[row, 0, window.rows, window.columns]
        return window, self._scaler.part(self.low_res_logits[row, 0], window)

    @property
    def _scaler(self) -> LogitScaler:
        height, width = self.low_res_logits.shape[-2:]
        return logit_scaler((height, width), self.frame_size)

    @cached_property
    def _windows(self) -> list[Window]:
        return self._scaler.windows(self.low_res_logits)

    def _change(self, row: int, before: torch.Tensor | None) -> tuple[int, int, int, int]:
        """Box around the pixels in which a mask changed."""
        scaler, window = self._scaler, self._windows[row]
        mask = scaler.part(self.low_res_logits[row, 0], window) > 0
        if before is not None:
            (old_window,) = scaler.windows(before)
            around = window | old_window if window.area and old_window.area else window if window.area else old_window
            changed = mask.new_zeros(around.size)
            changed[window.within(around)] = mask
            changed[old_window.within(around)] ^= scaler.part(before[0, 0], old_window) > 0
            window, mask = around, changed
        x0, y0, x1, y1 = box_around(mask)
        return (x0 + window.left, y0 + window.top, x1 + window.left, y1 + window.top) if x1 else (0, 0, 0, 0)


def box_around(mask: torch.Tensor) -> tuple[int, int, int, int]:
    """Return the box (x0, y0, x1, y1) of an (H, W) mask, x1 and y1 behind its last pixels; zeros if it is empty."""
    rows = torch.nonzero(mask.any(dim=1))
    if not len(rows):
        return 0, 0, 0, 0
    columns = torch.nonzero(mask.any(dim=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
