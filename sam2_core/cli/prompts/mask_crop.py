"""MaskCrop: one object's mask on one frame, kept as small as the object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError


@dataclass(frozen=True, eq=False)
class MaskCrop:
    """A mask of which only the object's bounding box is kept, eight pixels to a byte.

    Hundreds of objects of a large plane are prompted at once; a full mask each would not fit in memory.

    Attributes
    ----------
    top, left : int
        Where the bounding box begins, in pixels.
    shape : tuple of int
        (height, width) of the bounding box.
    frame_size : tuple of int
        (height, width) of the frame.
    bits : bytes
        The box's pixels, row by row.
    """

    top: int
    left: int
    shape: tuple[int, int]
    frame_size: tuple[int, int]
    bits: bytes

    @classmethod
    def of(
        cls, mask: NDArray[np.bool_], top: int = 0, left: int = 0, frame_size: tuple[int, int] | None = None
    ) -> Self:
        """Take a mask, or a part of one that holds all of the object.

        Parameters
        ----------
        mask : ndarray, (y, x) bool
        top, left : int
            Where in the frame the given part begins.
        frame_size : tuple of int, optional
            (height, width) of the frame; the mask is all of it by default.

        Raises
        ------
        InvalidInputError
            The mask is empty.
        """
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            raise InvalidInputError("An empty mask says nothing about an object; at least one pixel is needed.")
        tight = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return cls(
            top=top + int(rows[0]),
            left=left + int(columns[0]),
            shape=(tight.shape[0], tight.shape[1]),
            frame_size=(mask.shape[0], mask.shape[1]) if frame_size is None else frame_size,
            bits=np.packbits(tight).tobytes(),
        )

    @property
    def crop(self) -> NDArray[np.bool_]:
        """The mask within its bounding box: (y, x)."""
        count = self.shape[0] * self.shape[1]
        return np.unpackbits(np.frombuffer(self.bits, np.uint8), count=count).astype(bool).reshape(self.shape)

    @property
    def full(self) -> NDArray[np.bool_]:
        """The mask at the size of the frame: (y, x)."""
        mask = np.zeros(self.frame_size, dtype=bool)
        height, width = self.shape
        mask[self.top : self.top + height, self.left : self.left + width] = self.crop
        return mask

    def surroundings(self, margin: int) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
        """The box widened by a margin and cut to the frame: its place in the frame, and the mask within it."""
        left, top, right, bottom = self.box
        height, width = self.frame_size
        rows = slice(max(0, top - margin), min(height, bottom + margin))
        columns = slice(max(0, left - margin), min(width, right + margin))
        around = ((top - rows.start, rows.stop - bottom), (left - columns.start, columns.stop - right))
        return (rows, columns), np.pad(self.crop, around)

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(self.crop.sum())

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1); x1 and y1 are the first pixels outside."""
        return self.left, self.top, self.left + self.shape[1], self.top + self.shape[0]

    @property
    def peak(self) -> tuple[float, float]:
        """(x, y) of the pixel farthest from the object's border, where a person would click."""
        from scipy import ndimage

        # the border of the frame does not end an object, that of the crop does where the frame goes on
        top, bottom = int(self.top > 0), int(self.top + self.shape[0] < self.frame_size[0])
        left, right = int(self.left > 0), int(self.left + self.shape[1] < self.frame_size[1])
        padded = np.pad(self.crop, ((top, bottom), (left, right)))
        if padded.all():
            # nothing but the object: no border to be far from
            y, x = padded.shape[0] // 2, padded.shape[1] // 2
        else:
            farthest = int(ndimage.distance_transform_edt(padded).argmax())
            y, x = (int(index) for index in np.unravel_index(farthest, padded.shape))
        return float(x - left + self.left), float(y - top + self.top)
