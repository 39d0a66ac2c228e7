"""A mask as it is kept: the box around it, and the bits inside the box."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError, InvalidTypeError

Box = tuple[int, int, int, int]
EMPTY: Box = (0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class MaskPixels:
    """A mask cut to its bounding box.

    Attributes
    ----------
    box : tuple of int
        (x0, y0, x1, y1) in pixels of the frame; x1 and y1 are the first ones outside. (0, 0, 0, 0) for an empty mask.
    inside : ndarray, (y1 - y0, x1 - x0), bool
    """

    box: Box
    inside: NDArray[np.bool_]

    @classmethod
    def cut(cls, mask: NDArray[np.bool_], offset: tuple[int, int] = (0, 0)) -> MaskPixels:
        """Cut a mask to what is set in it.

        Parameters
        ----------
        mask : ndarray, (y, x), bool
        offset : (int, int)
            (y, x) of the mask's first pixel in the frame, where the mask is a part of it.
        """
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            return cls.empty()
        y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
        box = (x0 + offset[1], y0 + offset[0], x1 + offset[1], y1 + offset[0])
        return cls(box, np.ascontiguousarray(mask[y0:y1, x0:x1]))

    @classmethod
    def decode(cls, box: Box, data: bytes) -> MaskPixels:
        """Read what :meth:`encode` wrote."""
        height, width = box[3] - box[1], box[2] - box[0]
        bits = np.unpackbits(np.frombuffer(zlib.decompress(data), np.uint8), count=height * width)
        return cls(box, bits.view(bool).reshape(height, width))

    @classmethod
    def empty(cls) -> MaskPixels:
        """A mask without a pixel."""
        return cls(EMPTY, np.zeros((0, 0), bool))

    def encode(self) -> bytes:
        """The bits inside the box, row after row, eight to a byte with the first in the highest, deflated."""
        return zlib.compress(np.packbits(self.inside).tobytes(), 1)

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.inside))

    def paste(self, frame_size: tuple[int, int]) -> NDArray[np.bool_]:
        """The mask at the size (height, width) of the frame."""
        full = np.zeros(frame_size, bool)
        full[self.window] = self.inside
        return full

    @property
    def window(self) -> tuple[slice, slice]:
        """Where in the frame the box lies: (rows, columns)."""
        x0, y0, x1, y1 = self.box
        return slice(y0, y1), slice(x0, x1)

    def iou(self, other: MaskPixels) -> float:
        """Intersection over union with another mask of the same frame; 0 if both are empty."""
        both = int(np.count_nonzero(self.inside & other.within(self.box)))
        return both / (self.area + other.area - both) if both else 0.0

    def within(self, box: Box) -> NDArray[np.bool_]:
        """The part of the mask in a box (x0, y0, x1, y1) of the frame: (y1 - y0, x1 - x0), bool."""
        part = np.zeros((box[3] - box[1], box[2] - box[0]), bool)
        x0, y0 = max(self.box[0], box[0]), max(self.box[1], box[1])
        x1, y1 = min(self.box[2], box[2]), min(self.box[3], box[3])
        if x0 < x1 and y0 < y1:
            own = self.inside[y0 - self.box[1] : y1 - self.box[1], x0 - self.box[0] : x1 - self.box[0]]
            part[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]] = own
        return part

    def same_as(self, other: MaskPixels) -> bool:
        """Whether both are the same mask."""
        return self.box == other.box and bool(np.array_equal(self.inside, other.inside))


def checked_mask(mask: object, frame_size: tuple[int, int]) -> NDArray[np.bool_]:
    """Take a mask from a caller: a bool or integer array of the frame's size; integers are set where they are not 0.

    Raises
    ------
    InvalidTypeError
        No array of bool or integers.
    InvalidInputError
        Another shape than (height, width) of the frame.
    """
    array = np.asarray(mask)
    if array.dtype.kind not in "bui":
        raise InvalidTypeError(f"A mask is an array of bool or integers, 0 outside the object; got {array.dtype}.")
    if array.shape != tuple(frame_size):
        raise InvalidInputError(
            f"A mask must have the frame's size, (height, width) {tuple(frame_size)}; got shape {array.shape}."
        )
    return array != 0


def union_box(*boxes: Box) -> Box:
    """The smallest box around all that are not empty."""
    filled = [box for box in boxes if box != EMPTY]
    if not filled:
        return EMPTY
    return (
        min(box[0] for box in filled),
        min(box[1] for box in filled),
        max(box[2] for box in filled),
        max(box[3] for box in filled),
    )
