"""LabelStack: the frames of a label image, read one at a time."""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.closing import Closing
from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.volumes.labels.layout import LabelLayout


class LabelStack(Closing):
    """A label stack, read lazily; the counterpart of :class:`LabelWriter`.

    Parameters
    ----------
    name : str
        What messages call it.
    layout : LabelLayout
    written : ndarray, (frame,), bool, optional
        Which frames were written, where the destination says so; all by default.
    metadata : mapping, optional
        What was given to the writer as ``metadata``, where the format keeps it.
    """

    def __init__(
        self,
        name: str,
        layout: LabelLayout,
        *,
        written: NDArray[np.bool_] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.layout = layout
        self.metadata = dict(metadata or {})
        self._written = np.ones(layout.length, dtype=np.bool_) if written is None else written

    @abstractmethod
    def _read_pixels(self, index: int) -> NDArray[Any]:
        """Read frame `index` (known to exist): (y, x), any real dtype."""

    def close(self) -> None:
        """Let go of open files."""

    def __len__(self) -> int:
        return self.layout.length

    @property
    def frame_size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.layout.frame_size

    @property
    def axis(self) -> str:
        """What frames are counted along: "z", "t" or "frame"."""
        return self.layout.axis

    @property
    def dtype(self) -> np.dtype[Any]:
        """The unsigned dtype that frames come in."""
        return self.layout.dtype

    @property
    def spacing(self) -> tuple[float, float, float]:
        """(frame, y, x); 1.0 where unknown."""
        return self.layout.spacing

    @property
    def unit(self) -> str | None:
        """Unit of the spacing."""
        return self.layout.unit

    @property
    def written(self) -> frozenset[int]:
        """The frames that were written; the others are background because nobody looked at them."""
        return frozenset(np.flatnonzero(self._written).tolist())

    def read(self, index: int) -> NDArray[Any]:
        """Read one frame.

        Parameters
        ----------
        index : int
            Frame number.

        Returns
        -------
        ndarray, (y, x), the stack's dtype
            0 background, object ids from 1. A fresh array.

        Raises
        ------
        InvalidInputError
            No such frame, a frame that is damaged, of another size, or holds something else than labels.
        """
        try:
            checked = operator.index(index)
        except TypeError:
            raise InvalidTypeError(f"A frame number must be an integer; got {index!r}.") from None
        if not 0 <= checked < len(self):
            raise InvalidInputError(f"{self.name} has frames 0 to {len(self) - 1}; there is no frame {checked}.")
        pixels = self._read_pixels(checked)
        if pixels.shape != self.frame_size:
            raise InvalidInputError(
                f"Frame {checked} of {self.name} has shape {pixels.shape}, the stack {self.frame_size} (y, x). All "
                "frames must have one size."
            )
        return self._as_labels(pixels, checked)

    def _as_labels(self, pixels: NDArray[Any], index: int) -> NDArray[Any]:
        where = f"Frame {index} of {self.name}"
        if pixels.dtype.kind in "if" and pixels.size and not pixels.min() >= 0:
            raise InvalidInputError(f"{where} holds negative values or NaN; labels are 0 (background) and up.")
        if pixels.dtype.kind == "f" and not np.array_equal(pixels, np.trunc(pixels)):
            raise InvalidInputError(f"{where} holds fractions; labels are whole numbers. Is it an image?")
        if pixels.size and pixels.dtype.kind != "b" and pixels.max() > self.layout.largest_id:
            raise InvalidInputError(
                f"{where} holds {pixels.max()}; ids up to {self.layout.largest_id} can be read from it."
            )
        return np.array(pixels, dtype=self.dtype)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self.read(index) for index in range(len(self)))

    def __repr__(self) -> str:
        height, width = self.frame_size
        return (
            f"<{type(self).__name__} {self.name!r}: {len(self)} frames along {self.axis}, {height} x {width} "
            f"(height x width), {self.dtype}>"
        )


def unsigned(dtype: np.dtype[Any], name: str) -> np.dtype[Any]:
    """Return the unsigned dtype that holds the labels of an array of `dtype`.

    Raises
    ------
    InvalidTypeError
        Neither whole numbers nor floating point numbers that may be whole.
    """
    if dtype.kind not in "buif":
        raise InvalidTypeError(f"{name} holds {dtype} values; labels are integers.")
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    # float32 holds whole numbers up to 2**24, and label images are saved so by some programs
    return np.dtype(np.uint32) if dtype.kind == "f" else np.dtype(f"uint{min(dtype.itemsize, 8) * 8}")


class ArrayLabels(LabelStack):
    """The frames of an array (frame, y, x) or (y, x): numpy, memory-mapped, dask or zarr, read frame by frame.

    Parameters
    ----------
    array : array-like
    name : str
    axis : str
    """

    def __init__(self, array: Any, *, name: str = "array", axis: str = "frame") -> None:
        shape = tuple(int(size) for size in array.shape)
        if len(shape) not in (2, 3) or min(shape) < 1:
            raise InvalidInputError(f"{name} has shape {shape}; expected labels (frame, y, x) or (y, x).")
        length, height, width = shape if len(shape) == 3 else (1, *shape)
        super().__init__(name, LabelLayout(length, (height, width), axis, unsigned(np.dtype(array.dtype), name)))
        self._array = array

    def _read_pixels(self, index: int) -> NDArray[Any]:
        return np.asarray(self._array[index] if len(self._array.shape) == 3 else self._array)
