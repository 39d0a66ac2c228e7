"""PlainPixels: uncompressed pixels in a file, read where they are.

Not memory-mapped: a file that is cut short while it is mapped ends the process (a bus error) as soon as somebody looks
at what is gone. Reading it is an error that can be told.
"""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError

# What decides between many small reads and few larger ones: a read costs about as much as so many bytes.
READ_COSTS_BYTES = 8192


class PlainPixels:
    """An array in a file, in C order.

    Reads may come from several threads.

    Parameters
    ----------
    path : Path
    offset : int
        Where it begins, in bytes.
    shape : sequence of int
    dtype : numpy.dtype
        Of any byte order.
    """

    def __init__(self, path: Path, offset: int, shape: Sequence[int], dtype: np.dtype[Any]) -> None:
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self._path = path
        self._offset = offset
        self._file = path.open("rb", buffering=0)
        # one that is dropped without close() lets go of its file quietly
        weakref.finalize(self, self._file.close)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, ranges: Sequence[slice]) -> NDArray[Any]:
        """Read a region: one slice with start, stop and no step for each axis.

        Raises
        ------
        InvalidInputError
            The file ends before the region does.
        """
        lengths = [part.stop - part.start for part in ranges]
        inner = self._whole_axes(ranges)
        pieces = [self._cost(lengths, first) for first in range(inner + 1)]
        first = int(np.argmin(pieces))
        pixels = np.empty(lengths, self.dtype)
        # from axis `first` on, what lies between the region's first and last pixel is read at once and cut
        block = (*(slice(0, size) for size in self.shape[first + 1 :]),)
        block_shape = (lengths[first], *self.shape[first + 1 :]) if lengths else ()
        cut = (slice(None), *ranges[first + 1 :])
        for place in itertools.product(*(range(part.start, part.stop) for part in ranges[:first])):
            start = (*place, ranges[first].start, *(part.start for part in block))
            within = tuple(position - part.start for position, part in zip(place, ranges, strict=False))
            pixels[within] = self._read_block(start, block_shape)[cut]
        return pixels

    def _whole_axes(self, ranges: Sequence[slice]) -> int:
        """The last axis of which the region is a part only (0 if it is all of every axis)."""
        partial = [
            axis
            for axis, (part, size) in enumerate(zip(ranges, self.shape, strict=True))
            if part.stop - part.start != size
        ]
        return partial[-1] if partial else 0

    def _cost(self, lengths: Sequence[int], first: int) -> int:
        reads = int(np.prod(lengths[:first], dtype=np.int64))
        block = lengths[first] * int(np.prod(self.shape[first + 1 :], dtype=np.int64)) * self.dtype.itemsize
        return reads * (READ_COSTS_BYTES + block)

    def _read_block(self, start: Sequence[int], shape: Sequence[int]) -> NDArray[Any]:
        position = self._offset + int(np.ravel_multi_index(tuple(start), self.shape)) * self.dtype.itemsize
        size = int(np.prod(shape, dtype=np.int64)) * self.dtype.itemsize
        data = self._read_bytes(position, size)
        return np.frombuffer(data, self.dtype).reshape(shape)

    def _read_bytes(self, position: int, size: int) -> bytearray:
        data = bytearray(size)
        view, done = memoryview(data), 0
        while done < size:
            if hasattr(os, "preadv"):
                count = os.preadv(self._file.fileno(), [view[done:]], position + done)
            else:
                with self._lock:
                    self._file.seek(position + done)
                    count = self._file.readinto(view[done:]) or 0
            if count == 0:
                raise InvalidInputError(
                    f"{self._path.name} is cut short: {size} bytes at {position} were expected, {done} are there. "
                    "Copy or download it again, once nothing writes to it."
                )
            done += count
        return data
