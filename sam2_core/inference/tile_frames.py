"""WindowFrames: a window of another stack's frames, as a stack of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.inference.tile_grid import Window
from sam2_core.volumes.contrast import ContrastLimits
from sam2_core.volumes.frame_stack import FrameStack


class WindowFrames(FrameStack):
    """One window of every frame of another stack, read when asked for.

    Contrast limits are the other stack's, so that a pixel looks the same in every window; its physical spacing holds
    too. Only the window is read, where the source can read parts of a frame.

    Parameters
    ----------
    parent : FrameStack
        The whole frames. Closing the window leaves it open.
    window : Window
        Pixels of the parent's frames. Where it sticks out of them, the part inside is mirrored: more of the same,
        rather than the streaks that a repeated edge gives.

    Raises
    ------
    InvalidInputError
        The window is empty or lies beside the frame.
    """

    def __init__(self, parent: FrameStack, window: Window) -> None:
        height, width = parent.frame_size
        self._inside = window & Window(0, 0, height, width)
        if not self._inside.area:
            raise InvalidInputError(
                f"Rows {window.top} to {window.bottom} and columns {window.left} to {window.right} show nothing of "
                f"{parent.name}, whose frames are {height} x {width} (height x width)."
            )
        super().__init__(
            name=f"{parent.name}[{window.top}:{window.bottom}, {window.left}:{window.right}]",
            length=len(parent),
            frame_size=window.size,
            channel_count=parent.channel_count,
            dtype=parent.dtype,
            axis=parent.axis,
            colour=parent.colour,
            contrast=None,
            spacing=parent.spacing,
            spacing_unit=parent.spacing_unit,
            address=parent.address,
            volume=parent.volume,
        )
        self.parent = parent
        self.window = window
        before = self._inside.top - window.top, self._inside.left - window.left
        after = window.bottom - self._inside.bottom, window.right - self._inside.right
        self._padding = ((before[0], after[0]), (before[1], after[1]), (0, 0))

    @property
    def contrast_limits(self) -> ContrastLimits | None:
        """The limits of the whole stack."""
        return self.parent.contrast_limits

    def source_file(self, index: int) -> tuple[Path, str] | None:
        """Name the file of a frame, and the window as part of what it shows; see :meth:`FrameStack.source_file`."""
        source = self.parent.source_file(index)
        return None if source is None else (source[0], f"{source[1]} {self.window}")

    def read(self, index: int) -> NDArray[np.uint8]:
        """Read the window of one frame as the model sees it: (y, x, 3) uint8 RGB."""
        shown = self.parent.read_window(self._checked_index(index), self._inside.rows, self._inside.columns)
        return self._padded(shown)

    def scaled_to(self, frame_size: tuple[int, int]) -> FrameStack | None:
        """Open the frames scaled by their own decoder, which can only do so with whole ones."""
        whole = self.window == Window(0, 0, *self.parent.frame_size)
        return self.parent.scaled_to(frame_size) if whole else None

    def _read_raw(self, index: int) -> NDArray[Any]:
        return self._padded(self.parent.read_raw(index)[self._inside.rows, self._inside.columns])

    def _padded(self, pixels: NDArray[Any]) -> NDArray[Any]:
        if self._inside == self.window:
            return pixels
        return np.pad(pixels, self._padding, mode="reflect")
