"""Labels out: a label TIFF written frame by frame, in any order."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import tifffile
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError

MAX_LABEL = 65535
# above this a classic TIFF overflows; BigTIFF has no ImageJ metadata, so OME-like axes are written instead
_CLASSIC_BYTES = 2**32 - 2**25


class LabelStackWriter:
    """Writes a uint16 label stack that ImageJ, napari and QuPath open with the right axes.

    The file grows on disk, not in memory, and frames may come in any order (frames not written stay 0, background). It
    appears under its name only when finished.

    Parameters
    ----------
    path : Path
        File to write, ending in .tif.
    length : int
        Number of frames; 1 writes a picture with axes (y, x).
    frame_size : tuple of int
        (height, width).
    axis : str, default "z"
        "z" or "t"; anything else is written as z.

    Examples
    --------
    >>> with LabelStackWriter(Path("labels.tif"), 30, (64, 64)) as writer:  # doctest: +SKIP
    ...     writer.write(12, labels)
    """

    def __init__(self, path: Path, length: int, frame_size: tuple[int, int], *, axis: str = "z") -> None:
        self._path = Path(path)
        self._partial = self._path.with_name(self._path.name + ".part.tif")
        shape = frame_size if length == 1 else (length, *frame_size)
        axes = "YX" if length == 1 else ("TYX" if axis == "t" else "ZYX")
        is_classic = int(np.prod(shape)) * 2 < _CLASSIC_BYTES
        if is_classic:
            # ImageJ's own metadata: tifffile writes it big-endian unless told otherwise
            self._pixels = tifffile.memmap(
                self._partial, shape=shape, dtype=np.uint16, imagej=True, byteorder="<", metadata={"axes": axes}
            )
        else:
            self._pixels = tifffile.memmap(
                self._partial, shape=shape, dtype=np.uint16, bigtiff=True, metadata={"axes": axes}
            )
        self._frame_size = frame_size
        self._length = length

    def write(self, index: int, labels: NDArray[np.integer]) -> None:
        """Write one frame.

        Parameters
        ----------
        index : int
            Frame number.
        labels : ndarray, (y, x), integer
            0 background, object ids from 1 to 65535.

        Raises
        ------
        InvalidInputError
            Wrong shape, no such frame, or ids that do not fit uint16.
        """
        if labels.shape != self._frame_size or not 0 <= index < self._length:
            raise InvalidInputError(
                f"Expected labels of shape {self._frame_size} for a frame from 0 to {self._length - 1}; got shape "
                f"{labels.shape} for frame {index}."
            )
        if labels.size and (labels.min() < 0 or labels.max() > MAX_LABEL):
            raise InvalidInputError(f"Object ids must lie between 1 and {MAX_LABEL} to fit a label TIFF.")
        self._pixels[index if self._length > 1 else slice(None)] = labels

    def read(self, index: int) -> NDArray[np.uint16]:
        """Read back a frame as it is so far: a copy, (y, x)."""
        return np.array(self._pixels[index if self._length > 1 else slice(None)], dtype=np.uint16)

    def close(self) -> None:
        """Finish the file and give it its name."""
        self._pixels.flush()
        del self._pixels  # Windows does not rename a mapped file
        os.replace(self._partial, self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error_type is None:
            self.close()
            return
        del self._pixels
        with contextlib.suppress(FileNotFoundError):
            self._partial.unlink()
