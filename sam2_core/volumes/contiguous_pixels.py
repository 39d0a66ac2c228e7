"""ContiguousPixels: an array whose values lie one after the other in a file, read region by region."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError

# what lies between two wanted pieces is read too where it is no longer than this: it is quicker than another read
_GAP_BYTES = 64 * 2**10
# pieces are put together from reads of about this size
_READ_BYTES = 4 * 2**20


class ContiguousPixels:
    """Values in C order at one place of a file.

    They are read and not memory-mapped: reading a map ends the whole process where the file has become shorter, where
    a network drive fails, and, for holes in a file on a file system in memory, where that is full. A read fails.

    Parameters
    ----------
    handle : tifffile.FileHandle
        With a lock. Stays the caller's to close.
    offset : int
        Of the first value, in bytes.
    shape : sequence of int
    dtype : numpy.dtype
        In the file's byte order.
    """

    def __init__(self, handle: Any, offset: int, shape: Sequence[int], dtype: np.dtype[Any]) -> None:
        self._handle = handle
        self._offset = offset
        self._shape = tuple(shape)
        self._dtype = dtype

    def read(self, region: Sequence[slice]) -> NDArray[Any]:
        """Read a region.

        Parameters
        ----------
        region : sequence of slice
            First position and the one after the last, along each dimension.

        Returns
        -------
        ndarray
            A fresh array, in the file's byte order.

        Raises
        ------
        InvalidInputError
            The file has become shorter.
        """
        lengths = [part.stop - part.start for part in region]
        pixels = np.empty(lengths, self._dtype)
        # what is wanted whole lies together, and so does a range of the dimension before it
        split = len(lengths) - 1
        while split and lengths[split] == self._shape[split]:
            split -= 1
        steps = np.cumprod([1, *self._shape[:0:-1]], dtype=np.int64)[::-1].tolist()
        begin, wanted = region[split].start * steps[split], lengths[split] * steps[split]
        if not split:
            self._fill(pixels.reshape(-1), begin)
            return pixels
        rows, row_step = region[split - 1], steps[split - 1]
        outer = region[: split - 1]
        is_close = (row_step - wanted) * self._dtype.itemsize <= _GAP_BYTES
        together = max(1, _READ_BYTES // (row_step * self._dtype.itemsize)) if is_close else 1
        pieces = pixels.reshape(-1, lengths[split - 1], wanted)
        scratch = np.empty((min(together, lengths[split - 1]), row_step), self._dtype)
        places = itertools.product(*(range(part.start, part.stop) for part in outer))
        for piece, place in zip(pieces, places, strict=True):
            first = begin + sum(position * step for position, step in zip(place, steps, strict=False))
            for row in range(0, len(piece), together):
                count = min(together, len(piece) - row)
                position = first + (rows.start + row) * row_step
                if count == 1:
                    self._fill(piece[row], position)
                else:
                    self._fill(scratch.reshape(-1)[: (count - 1) * row_step + wanted], position)
                    piece[row : row + count] = scratch[:count, :wanted]
        return pixels

    def _fill(self, values: NDArray[Any], first: int) -> None:
        """Read values into an array (value,), from the one of this number on."""
        rest: Any = values.view(np.uint8).data
        with self._handle.lock:
            self._handle.seek(self._offset + first * self._dtype.itemsize)
            while rest:
                count = self._handle.readinto(rest)
                if not count:
                    raise InvalidInputError(
                        f"{self._handle.name} ends before its pixels do: it has become shorter since it was opened, or "
                        "is cut short. Copy it again."
                    )
                rest = rest[count:]
