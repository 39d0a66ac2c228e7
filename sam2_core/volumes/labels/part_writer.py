"""Label writers that build a part beside the destination and give it its name when it is finished."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import DestinationExistsError, InvalidInputError, InvalidTypeError
from sam2_core.volumes.labels.destination import DestinationLock, write_errors
from sam2_core.volumes.labels.label_stack import LabelStack
from sam2_core.volumes.labels.label_writer import LabelWriter
from sam2_core.volumes.labels.layout import LabelLayout


class PartWriter(LabelWriter):
    """A writer whose destination appears, or is replaced, only when finished.

    Until then the frames lie in the part. ``resume=True`` continues the part; where there is none but a finished
    destination, its frames are copied into a new part once something is written, and the destination is
    replaced at the end.

    Parameters
    ----------
    destination : Path
    layout : LabelLayout
    any_dtype : bool
        Whether the caller left the dtype open, so that an existing destination decides.
    overwrite, resume : bool
    metadata : dict
        Kept with the labels where the format can.
    """

    def __init__(
        self,
        destination: Path,
        layout: LabelLayout,
        *,
        any_dtype: bool,
        overwrite: bool,
        resume: bool,
        metadata: dict[str, Any],
    ) -> None:
        self.destination = destination
        self.metadata = metadata
        self._finished: LabelStack | None = None
        part_exists, finished_exists = self._part_exists(), destination.exists()
        if not (overwrite or resume) and (part_exists or finished_exists):
            what = "exists already" if finished_exists else "is unfinished: frames of an earlier run are there"
            raise DestinationExistsError(
                f"{destination} {what}. Continue it with resume=True, replace it with overwrite=True, or choose "
                "another destination."
            )
        if finished_exists and overwrite:
            self._require_replaceable()
        self._hold = DestinationLock(destination.with_name(destination.name + ".lock"), str(destination))
        self._part_open = False
        try:
            if resume and part_exists:
                existing = self._part_layout()
            elif resume and finished_exists:
                self._finished = self._open_finished()
                existing = self._finished.layout
            else:
                existing = None
            if existing is not None:
                layout.require_continues(existing, str(destination), check_dtype=not any_dtype)
                layout = layout.with_dtype(_writable(existing.dtype) if any_dtype else layout.dtype)
            super().__init__(str(destination), layout)
            if self._finished is not None:
                self._written[list(self._finished.written)] = True
                if not self.metadata:
                    self.metadata = dict(self._finished.metadata)
            elif existing is not None:
                self._open_part()
                self._part_open = True
            else:
                with write_errors(self.name):
                    self._remove_part()
                    self._begin_part()
        except BaseException:
            if self._finished is not None:
                self._finished.close()
            self._hold.release()
            raise

    @abstractmethod
    def _part_exists(self) -> bool:
        """Whether an unfinished part lies there. Called before the writer is set up."""

    @abstractmethod
    def _part_layout(self) -> LabelLayout:
        """Return what the part says it holds."""

    @abstractmethod
    def _create_part(self) -> None:
        """Make an empty part."""

    @abstractmethod
    def _open_part(self) -> None:
        """Open the part, filling ``self._written`` with the frames it holds."""

    @abstractmethod
    def _close_part(self) -> None:
        """Let go of the part's files; called once more after an error."""

    @abstractmethod
    def _finish_part(self) -> None:
        """Complete the closed or open part and give it the destination's name."""

    @abstractmethod
    def _remove_part(self) -> None:
        """Remove the part's files, if there are any."""

    @abstractmethod
    def _open_finished(self) -> LabelStack:
        """Open the finished destination for reading."""

    def _require_replaceable(self) -> None:
        """Refuse to overwrite what cannot be labels of this kind; formats that are folders look at all in it."""
        if self.destination.is_dir():
            raise InvalidInputError(
                f"{self.destination} is a folder, and labels in this format are a file. Choose another name."
            )
        self._require_labels()

    def _require_labels(self) -> None:
        try:
            self._open_finished().close()
        except (InvalidInputError, InvalidTypeError) as error:
            raise InvalidInputError(
                f"{self.destination} is not replaced, since it holds no labels of this format ({error}) Choose another "
                "destination, or remove this one yourself."
            ) from error

    def _begin_part(self) -> None:
        try:
            self._create_part()
        except BaseException:
            self._close_part()
            self._remove_part()
            raise
        self._part_open = True

    def _begin_write(self) -> None:
        if self._part_open:
            return
        finished = self._finished
        self._begin_part()
        if finished is None:
            return
        kept = np.flatnonzero(self._written)
        self._written[:] = False
        for index in kept.tolist():
            self._write_pixels(index, self._checked_labels(finished.read(index)), 0, 0)
            self._record_written(index)
            self._written[index] = True
        finished.close()
        self._finished = None

    def _read_pixels(self, index: int) -> NDArray[Any]:
        if self._finished is not None:
            return self._finished.read(index).astype(self.dtype)
        return self._read_part(index)

    @abstractmethod
    def _read_part(self, index: int) -> NDArray[Any]:
        """Read a frame of the part: (y, x)."""

    def _finish(self) -> None:
        if self._part_open:
            self._finish_part()
        self._release()

    def _release(self) -> None:
        self._close_part()
        if self._finished is not None:
            self._finished.close()
        self._hold.release()

    def _remove(self) -> None:
        self._close_part()
        if self._part_open:
            self._remove_part()
        self._release()


def _writable(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(f"uint{8 * min(dtype.itemsize, 4)}")
