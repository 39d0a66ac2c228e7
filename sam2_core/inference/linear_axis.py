"""Linear interpolation along one axis, of all pixels or of some of them to the same bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


class LinearAxis:
    """Linear interpolation along one axis, pixel centres at halves, ends repeated (``align_corners=False``).

    Parameters
    ----------
    low_length : int
        How many values there are.
    length : int
        How many pixels are made of them.
    """

    def __init__(self, low_length: int, length: int) -> None:
        self.low_length, self.length = low_length, length
        # In float32 and in this order, as torch's interpolation computes it.
        scale = np.float32(low_length) / np.float32(length)
        source = scale * (np.arange(length, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5)
        source = np.maximum(source, np.float32(0.0))
        lower = np.minimum(source.astype(np.int64), low_length - 1)
        self._lower_index = lower
        self._lower = torch.from_numpy(lower)
        self._upper = torch.from_numpy(np.minimum(lower + 1, low_length - 1))
        self._weight = torch.from_numpy(source - lower.astype(np.float32))[:, None]
        self._on: dict[torch.device, tuple[Tensor, Tensor, Tensor]] = {}

    def pixels_per_interval(self, device: torch.device) -> Tensor:
        """How many pixels lie between each value and the next: (low_length,) float32."""
        return torch.bincount(self._lower, minlength=self.low_length).float().to(device)

    def reach(self, flagged: npt.NDArray[np.bool_]) -> tuple[int, int]:
        """Pixels that any of the flagged values (low_length,) takes part in: first, and one past the last."""
        positions = np.flatnonzero(flagged)
        if not len(positions):
            return 0, 0
        first, last = np.searchsorted(self._lower_index, [positions[0] - 1, positions[-1] + 1])
        return int(first), int(last)

    def used(self, start: int, stop: int) -> slice:
        """Values that pixels from `start` up to `stop` are made of."""
        if start >= stop:
            return slice(0, 0)
        return slice(int(self._lower_index[start]), int(self._upper[stop - 1]) + 1)

    def first_pixel(self, interval: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """First pixel between a value and the next, for an array of values."""
        return np.searchsorted(self._lower_index, interval, side="left")

    def last_pixel(self, interval: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Last pixel between a value and the next, for an array of values."""
        return np.searchsorted(self._lower_index, interval, side="right") - 1

    def interpolate(self, values: Tensor, origin: int, start: int, stop: int) -> Tensor:
        """Interpolate along the last axis but one.

        Parameters
        ----------
        values : Tensor
            (..., n, m) floating point: the values from `origin` on.
        origin, start, stop : int
            For pixels from `start` up to `stop`.

        Returns
        -------
        Tensor
            (..., stop - start, m). Never beyond the two values that a pixel lies between, and the same bits whichever
            pixels are asked for.
        """
        lower, upper, weight = (part[start:stop] for part in self._parts_on(values.device))
        if origin:
            lower, upper = lower - origin, upper - origin
        return torch.lerp(values.index_select(-2, lower), values.index_select(-2, upper), weight)

    def _parts_on(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        parts = self._on.get(device)
        if parts is None:
            parts = self._on[device] = self._lower.to(device), self._upper.to(device), self._weight.to(device)
        return parts
