"""Object-centred crops: which window shows an object well, and frames whose window follows it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sam2_core.errors import InvalidInputError
from sam2_core.inference.tile_frames import WindowFrames
from sam2_core.inference.tile_grid import Window
from sam2_core.volumes.frame_stack import FrameStack

#: Sides of crops grow in steps of this factor, so that objects of about one size share them.
SIDE_STEP = 2**0.5
SMALLEST_SIDE = 16


def crop_side(extent: float, share: float, largest: int) -> int:
    """Choose the side of the window around an object.

    Parameters
    ----------
    extent : float
        The longer side of the object's box in pixels.
    share : float
        How much of the window it spans at most; with the steps between sides it spans 0.7 to 1 times this.
    largest : int
        Limit of the side.

    Returns
    -------
    int
        Side in pixels: 16 times a power of the square root of 2, or `largest`.
    """
    wanted = max(extent / share, SMALLEST_SIDE)
    steps = math.ceil(math.log(wanted / SMALLEST_SIDE, SIDE_STEP) - 1e-9)
    return min(round(SMALLEST_SIDE * SIDE_STEP**steps), max(largest, 1))


def crop_window(centre: tuple[float, float], side: int, frame_size: tuple[int, int]) -> Window:
    """Lay a square window around a position and move it into the frame.

    Parameters
    ----------
    centre : (float, float)
        (x, y) in pixels of the frame.
    side : int
        Side of the window. Along an axis on which the frame is smaller, the window sticks out on both sides.
    frame_size : (int, int)
        (height, width).

    Returns
    -------
    Window
    """
    left, top = (
        _start(position, side, extent) for position, extent in zip(centre, (frame_size[1], frame_size[0]), strict=True)
    )
    return Window(top, left, top + side, left + side)


def _start(position: float, side: int, extent: int) -> int:
    if side >= extent:
        return (extent - side) // 2
    return min(max(round(position - side / 2), 0), extent - side)


class CropFrames(FrameStack):
    """Frames of one size that show a window of another stack, which may be another one on each frame.

    The camera that shows an object follows it: its window is laid where the object was last seen before a frame is
    looked at, and stays there for good, so that what is remembered of a frame belongs to what was shown.

    Parameters
    ----------
    parent : FrameStack
        The whole frames. Closing the crop leaves it open.
    start : Window
        What is shown of frames whose window was not laid yet.
    shown_size : (int, int)
        (height, width) to which every window is resized, the model's input as a rule.
    """

    def __init__(self, parent: FrameStack, start: Window, shown_size: tuple[int, int]) -> None:
        super().__init__(
            name=f"{parent.name}, crop of {start.size[0]} x {start.size[1]}",
            length=len(parent),
            frame_size=shown_size,
            channel_count=parent.channel_count,
            dtype=parent.dtype,
            axis=parent.axis,
            colour=parent.colour,
            contrast=None,
            # pixels of the crop are smaller or larger than the parent's
            spacing=(
                parent.spacing[0],
                parent.spacing[1] * start.size[0] / shown_size[0],
                parent.spacing[2] * start.size[1] / shown_size[1],
            ),
            spacing_unit=parent.spacing_unit,
            address=parent.address,
            volume=parent.volume,
        )
        self.parent = parent
        self.start = start
        self._windows: dict[int, Window] = {}
        #: Whether it changed since it was noted.
        self.is_changed = True

    def as_note(self) -> dict[str, Any]:
        """What is shown of which frame, as JSON can hold it; it counts as noted from now on."""
        self.is_changed = False
        laid = [[index, window.top, window.left] for index, window in self._windows.items()]
        return {"start": astuple(self.start), "laid": laid}

    @classmethod
    def from_note(cls, parent: FrameStack, note: Mapping[str, Any], shown_size: tuple[int, int]) -> CropFrames:
        """Undo :meth:`as_note`."""
        crop = cls(parent, Window(*note["start"]), shown_size)
        height, width = crop.start.size
        crop._windows = {index: Window(top, left, top + height, left + width) for index, top, left in note["laid"]}
        crop.is_changed = False
        return crop

    def window(self, index: int) -> Window:
        """Return what is shown of a frame, in pixels of the parent."""
        return self._windows.get(index, self.start)

    def is_laid(self, index: int) -> bool:
        """Whether the window of a frame is settled."""
        return index in self._windows

    def lay(self, index: int, window: Window) -> Window:
        """Lay the window of a frame; one that was laid before stays.

        Returns
        -------
        Window
            The frame's window from now on.
        """
        if window.size != self.start.size:
            raise InvalidInputError(
                f"The windows of a crop keep their size: {self.start.size} (height, width), got {window.size}."
            )
        self.is_changed = self.is_changed or index not in self._windows
        return self._windows.setdefault(index, window)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Read the window of one frame as the model sees it: (y, x, 3) uint8 RGB of `shown_size`."""
        pixels = WindowFrames(self.parent, self.window(index)).read(index)
        height, width = self.frame_size
        if pixels.shape[:2] == (height, width):
            return pixels
        return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))

    def _read_raw(self, index: int) -> NDArray[Any]:
        raise InvalidInputError(
            f"{self.name} shows frames resized for the model; read intensities from the stack it is cut from."
        )
