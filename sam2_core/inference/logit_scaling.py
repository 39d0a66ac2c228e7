"""Mask logits brought to the size of a frame: whole, or only where a mask can be, to the same bits."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from sam2_core.inference.linear_axis import LinearAxis
from sam2_core.inference.tile_grid import Window


class LogitScaler:
    """Scale logits bilinearly to a frame.

    A mask of a cell is a thousandth of a frame that shows hundreds of them: what is looked at is scaled where it is.

    Parameters
    ----------
    low_size : (int, int)
        (height, width) of the logits.
    frame_size : (int, int)
        (height, width) of the frame.
    """

    def __init__(self, low_size: tuple[int, int], frame_size: tuple[int, int]) -> None:
        self._rows = LinearAxis(low_size[0], frame_size[0])
        self._columns = LinearAxis(low_size[1], frame_size[1])
        self._is_same = low_size == frame_size

    def windows(self, logits: Tensor) -> list[Window]:
        """Say where logits can be above 0.

        Parameters
        ----------
        logits : Tensor
            (N, 1, h, w).

        Returns
        -------
        list of Window
            N, in pixels of the frame; outside of it no logit is above 0.
        """
        above = logits[:, 0] > 0
        # one transfer for all objects
        sides = torch.cat([above.any(dim=2), above.any(dim=1)], dim=1).cpu().numpy()
        windows = []
        for flags in sides:
            top, bottom = self._rows.reach(flags[: self._rows.low_length])
            left, right = self._columns.reach(flags[self._rows.low_length :])
            windows.append(Window(top, left, bottom, right))
        return windows

    def whole(self, logits: Tensor) -> Tensor:
        """Scale logits (N, 1, h, w) to (N, 1, H, W)."""
        return self._scaled(logits, Window(0, 0, self._rows.length, self._columns.length))

    def part(self, logits: Tensor, window: Window) -> Tensor:
        """Scale logits (h, w) to the pixels of a window, (y, x)."""
        return self._scaled(logits, window)

    def _scaled(self, logits: Tensor, window: Window) -> Tensor:
        if self._is_same:
            return logits[..., window.rows, window.columns]
        if not window.area:
            return logits.new_empty(*logits.shape[:-2], *window.size)
        rows, columns = self._rows.used(window.top, window.bottom), self._columns.used(window.left, window.right)
        wide = logits[..., rows, columns].transpose(-1, -2)
        wide = self._columns.interpolate(wide, columns.start, window.left, window.right).transpose(-1, -2).contiguous()
        return self._rows.interpolate(wide, rows.start, window.top, window.bottom)


@lru_cache(maxsize=16)
def logit_scaler(low_size: tuple[int, int], frame_size: tuple[int, int]) -> LogitScaler:
    """Return the scaler for logits and a frame of these sizes, (height, width) each."""
    return LogitScaler(low_size, frame_size)
