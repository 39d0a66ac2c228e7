"""LabelWriter: labels written frame by frame, in any order, while tracking runs."""

from __future__ import annotations

import operator
import threading
from abc import abstractmethod
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.closing import Closing
from sam2_core.errors import InvalidInputError, InvalidTypeError, StateError
from sam2_core.volumes.labels.destination import write_errors
from sam2_core.volumes.labels.frame_ranges import ranges_text
from sam2_core.volumes.labels.layout import LabelLayout


class LabelWriter(Closing):
    """Writes a label stack: 0 background, object ids from 1.

    Every frame is on disk when :meth:`write` returns; nothing is held in memory but one byte a frame. Frames may come
    in any order and again; frames never written are background. Leaving a ``with`` block by an error keeps what was
    written, for ``resume=True``; an error before the first frame leaves nothing. Calls from several threads take turns.

    Parameters
    ----------
    name : str
        What messages call the destination.
    layout : LabelLayout
    """

    def __init__(self, name: str, layout: LabelLayout) -> None:
        self.name = name
        self.layout = layout
        self._written = np.zeros(layout.length, dtype=np.bool_)
        self._turn = threading.RLock()
        self._closed = False

    @abstractmethod
    def _write_pixels(self, index: int, labels: NDArray[Any], y0: int, x0: int) -> None:
        """Put checked labels (y, x) of the layout's dtype on disk, their corner at (y0, x0)."""

    @abstractmethod
    def _read_pixels(self, index: int) -> NDArray[Any]:
        """Read a frame as it is so far: (y, x), a fresh array."""

    @abstractmethod
    def _record_written(self, index: int) -> None:
        """Remember on disk that a frame is complete."""

    @abstractmethod
    def _finish(self) -> None:
        """Make the destination complete and let go of it."""

    @abstractmethod
    def _release(self) -> None:
        """Let go of the destination as it is."""

    @abstractmethod
    def _remove(self) -> None:
        """Let go of the destination and remove what this writer began."""

    def __len__(self) -> int:
        return self.layout.length

    @property
    def frame_size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.layout.frame_size

    @property
    def axis(self) -> str:
        """What frames are counted along."""
        return self.layout.axis

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype that is written; ids have to fit it."""
        return self.layout.dtype

    @property
    def written(self) -> frozenset[int]:
        """The frames that are complete on disk. For one frame ask :meth:`is_written`."""
        return frozenset(np.flatnonzero(self._written).tolist())

    def is_written(self, index: int) -> bool:
        """Whether a frame is complete on disk."""
        return bool(self._written[self._checked_index(index)])

    def write(self, index: int, labels: NDArray[Any]) -> None:
        """Write one frame.

        Parameters
        ----------
        index : int
            Frame number.
        labels : ndarray, (y, x), integer or bool
            0 background, object ids from 1.

        Raises
        ------
        InvalidInputError, InvalidTypeError
            No such frame, a wrong shape, negative ids, or ids that do not fit the dtype.
        WriteError
            The disk is full or refuses; frames written before stay readable.
        StateError
            The writer is closed.
        """
        labels = np.asarray(labels)
        if labels.shape != self.frame_size:
            raise InvalidInputError(
                f"{self.name} has frames of shape {self.frame_size} (y, x); got labels of shape {labels.shape}."
            )
        self._write(index, labels, 0, 0, complete=True)

    def write_window(self, index: int, labels: NDArray[Any], y0: int, x0: int, *, complete: bool = True) -> None:
        """Write a part of a frame; the rest stays as it is.

        Parameters
        ----------
        index : int
            Frame number.
        labels : ndarray, (y, x), integer or bool
        y0, x0 : int
            Where its first pixel lies in the frame.
        complete : bool, default True
            Whether the frame counts as written afterwards. False for all but the last of several parts, so that an
            interrupted run does them again.

        Raises
        ------
        InvalidInputError, InvalidTypeError, WriteError, StateError
            As :meth:`write`; also a part that reaches out of the frame.
        """
        labels = np.asarray(labels)
        top, left = operator.index(y0), operator.index(x0)
        height, width = self.frame_size
        fits = labels.ndim == 2 and top >= 0 and left >= 0
        if not fits or top + labels.shape[0] > height or left + labels.shape[1] > width:
            raise InvalidInputError(
                f"A part of shape {labels.shape} at (y, x) = ({top}, {left}) does not lie in a frame of {self.name}, "
                f"which is {self.frame_size} (y, x)."
            )
        self._write(index, labels, top, left, complete=complete)

    def _write(self, index: int, labels: NDArray[Any], y0: int, x0: int, *, complete: bool) -> None:
        checked = self._checked_index(index)
        pixels = self._checked_labels(labels)
        with self._turn, write_errors(self.name, self._kept):
            self._require_open()
            self._begin_write()
            if pixels.size:
                self._write_pixels(checked, pixels, y0, x0)
            if complete and not self._written[checked]:
                self._record_written(checked)
                self._written[checked] = True

    def _begin_write(self) -> None:
        """Get ready for the first write."""

    def read(self, index: int) -> NDArray[Any]:
        """Read back a frame as it is so far.

        Returns
        -------
        ndarray, (y, x), the writer's dtype
            A copy.
        """
        checked = self._checked_index(index)
        with self._turn:
            self._require_open()
            return self._read_pixels(checked)

    def flush(self) -> None:
        """Put on disk what is not there yet."""

    def close(self) -> None:
        """Finish the destination: pyramid, tables, its final name. May be called twice.

        Raises
        ------
        WriteError
            It could not be finished (disk full); what was written can be continued with ``resume=True``.
        """
        with self._turn:
            if self._closed:
                return
            self._closed = True
            try:
                with write_errors(self.name, self._kept):
                    self._finish()
            except BaseException:
                self._release()
                raise

    def suspend(self) -> None:
        """Stop without finishing; ``resume=True`` continues."""
        with self._turn:
            if not self._closed:
                self._closed = True
                self._release()

    def discard(self) -> None:
        """Stop and remove what this writer began; a finished destination from before stays."""
        with self._turn:
            if not self._closed:
                self._closed = True
                self._remove()

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error_type is None:
            self.close()
        elif self._written.any():
            self.suspend()
        else:
            self.discard()

    def _kept(self) -> str:
        frames = ranges_text(self._written)
        return f"Frames {frames} are written and stay readable. " if frames else ""

    def _require_open(self) -> None:
        if self._closed:
            raise StateError(f"{self.name} is closed. Open it again with resume=True to write more.")

    def _checked_index(self, index: int) -> int:
        try:
            checked = operator.index(index)
        except TypeError:
            raise InvalidTypeError(f"A frame number must be an integer; got {index!r}.") from None
        if not 0 <= checked < len(self):
            raise InvalidInputError(f"{self.name} has frames 0 to {len(self) - 1}; there is no frame {checked}.")
        return checked

    def _checked_labels(self, labels: NDArray[Any]) -> NDArray[Any]:
        if labels.dtype.kind not in "bui":
            raise InvalidTypeError(f"Labels must be integers (0 background, ids from 1); got {labels.dtype}.")
        if labels.size and labels.dtype != self.dtype:
            smallest, largest = int(labels.min()), int(labels.max())
            if smallest < 0:
                raise InvalidInputError(f"Object ids must be positive (0 is background); got {smallest}.")
            if largest > self.layout.largest_id:
                raise InvalidInputError(
                    f"Object id {largest} does not fit {self.name}, which holds ids up to {self.layout.largest_id} "
                    f'({self.dtype}). Open it with dtype="{"uint16" if largest < 65536 else "uint32"}", or renumber '
                    "the objects."
                )
        return np.ascontiguousarray(labels, dtype=self.dtype)
