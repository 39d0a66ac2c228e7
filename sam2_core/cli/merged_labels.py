"""Masks of many objects, which may overlap, merged into one label stack: the mask that is surer of a pixel has it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sam2_core.volumes.labels import open_label_writer

# a logit just above 0 is the object and must not be rounded to nothing
_SMALLEST = np.finfo(np.float16).smallest_subnormal


class MergedLabels:
    """A label TIFF that masks are merged into, frame by frame and in any order.

    Each pixel goes to the object with the highest mask logit there, if above 0; of equal ones to the one merged first.
    Neither labels nor logits are held in memory: the best logit so far lies beside the labels, as float16,
    until the end.

    Parameters
    ----------
    path : Path
        The label TIFF to write.
    length : int
        Number of frames.
    frame_size : tuple of int
        (height, width).
    axis : str
        "z", "t" or "frame".
    """

    def __init__(self, path: Path, length: int, frame_size: tuple[int, int], *, axis: str = "z") -> None:
        self._writer = open_label_writer(
            path, length=length, frame_size=frame_size, axis=axis, format="tiff", overwrite=True
        )
        self._logit_path = path.with_name(path.name + ".logits.part")
        self._best_logits = np.memmap(self._logit_path, dtype=np.float16, mode="w+", shape=(length, *frame_size))
        self._length = length

    def merge(self, index: int, object_ids: Sequence[int], logits: NDArray[np.floating]) -> None:
        """Merge the masks of several objects on one frame.

        Parameters
        ----------
        index : int
            Frame number.
        object_ids : sequence of int
        logits : ndarray, (object, y, x)
            Mask logits; above 0 is the object.
        """
        labels = self._writer.read(index)
        best = self._best_logits[index]
        for object_id, mask_logits in zip(object_ids, logits, strict=True):
            # compared as they are kept, so that a mask merged twice does not win over its own rounding
            rounded = np.maximum(np.clip(mask_logits, 0, 1000).astype(np.float16), _SMALLEST)
            wins = (mask_logits > 0) & (rounded > best)
            labels[wins] = object_id
            best[wins] = rounded[wins]
        self._writer.write(index, labels)

    def frames(self) -> Iterator[tuple[int, NDArray[np.uint16]]]:
        """The merged frames so far, as (frame number, labels (y, x))."""
        return ((index, self._writer.read(index)) for index in range(self._length))

    def read(self, index: int) -> NDArray[np.uint16]:
        """One merged frame: (y, x)."""
        return self._writer.read(index)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        del self._best_logits  # Windows does not delete a mapped file
        with contextlib.suppress(FileNotFoundError):
            self._logit_path.unlink()
        if error_type is None:
            self._writer.close()
        else:
            self._writer.discard()
