"""Frames that count who reads them."""

from __future__ import annotations

import numpy as np

from sam2_core.volumes import FrameStack


class CountingFrames(FrameStack):
    """Frames of an array (n, y, x[, channel]) that remember what was read, and fail where told to."""

    def __init__(self, array: np.ndarray, failing: int | None = None) -> None:
        super().__init__(
            name="array",
            length=len(array),
            frame_size=array.shape[1:3],
            channel_count=array.shape[3] if array.ndim == 4 else 1,
            dtype=array.dtype,
            axis="frame",
            colour=array.ndim == 4,
            contrast=None,
        )
        self.array = array
        self.reads: list[int] = []
        self.window_pixels = 0
        self.failing = failing

    def _read_raw(self, index: int) -> np.ndarray:
        self.reads.append(index)
        if index == self.failing:
            raise OSError(f"the disk is gone at frame {index}")
        frame: np.ndarray = self.array[index].reshape(*self.frame_size, -1)
        return frame

    def _read_raw_window(self, index: int, rows: slice, columns: slice) -> np.ndarray:
        self.window_pixels += (rows.stop - rows.start) * (columns.stop - columns.start)
        frame: np.ndarray = self.array[index].reshape(*self.frame_size, -1)
        return frame[rows, columns]
