"""Cell Tracking Challenge folders of z-stacks over time: ``maskTTT.tif`` (z, y, x) for each time, and one table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sam2_core.errors import DestinationExistsError, InvalidInputError
from sam2_core.volumes.labels.ctc import CtcVolumeWriter, clear_ctc_folder, is_ctc_folder
from sam2_core.volumes.labels.label_writer import LabelWriter
from sam2_core.volumes.labels.layout import LabelLayout


class CtcVolumesWriter(LabelWriter):
    """Writes the z-stacks of a time-lapse one after the other, each as :class:`CtcVolumeWriter` does.

    The stack that is written to is kept open, and finished when the first frame of another time comes.

    Parameters
    ----------
    folder : Path
    layout : LabelLayout
        With its grid.
    overwrite, resume : bool
        `resume` is refused.
    **options
        See :class:`CtcVolumeWriter`.
    """

    def __init__(self, folder: Path, layout: LabelLayout, *, overwrite: bool, resume: bool, **options: Any) -> None:
        assert layout.grid is not None
        if resume:
            raise InvalidInputError(
                f"{folder}: z-stacks over time cannot be continued in this format; write them anew with overwrite=True."
            )
        if folder.is_dir() and is_ctc_folder(folder) and not overwrite:
            raise DestinationExistsError(
                f"{folder} exists already. Replace it with overwrite=True, or choose another destination."
            )
        super().__init__(str(folder), layout)
        self._folder, self._grid = folder, layout.grid
        self._overwrites, self._options = overwrite, options
        self._begun: set[int] = set()
        self._open: tuple[int, CtcVolumeWriter] | None = None
        # what cannot be written is refused now, and not at the first frame
        self._volume(0)
        if overwrite and folder.is_dir():
            # masks of later times and lines of the table would be taken for those of the new labels
            clear_ctc_folder(folder)

    def _volume(self, time: int) -> CtcVolumeWriter:
        """The writer of one time."""
        if self._open is not None:
            if self._open[0] == time:
                return self._open[1]
            open_now, self._open = self._open[1], None
            open_now.close()
        is_again = time in self._begun
        writer = CtcVolumeWriter(
            self._folder,
            replace(self.layout, length=self._grid.sizes[1], axis="z", grid=None),
            time_point=time,
            overwrite=self._overwrites and not is_again,
            resume=is_again,
            **self._options,
        )
        self._begun.add(time)
        self._open = (time, writer)
        return writer

    def _places(self, index: int) -> tuple[int, int]:
        return divmod(index, self._grid.sizes[1])

    def _write_pixels(self, index: int, labels: NDArray[Any], y0: int, x0: int) -> None:
        time, place = self._places(index)
        self._volume(time).write_window(place, labels, y0, x0, complete=False)

    def _read_pixels(self, index: int) -> NDArray[Any]:
        time, place = self._places(index)
        return self._volume(time).read(place)

    def _record_written(self, index: int) -> None:
        time, place = self._places(index)
        writer = self._volume(time)
        writer.write_window(place, writer.read(place)[:0], 0, 0)

    def _finish(self) -> None:
        # a time without a frame is a mask of background: the format knows no gaps
        for time in set(range(self._grid.sizes[0])) - self._begun:
            self._volume(time)
        if self._open is not None:
            self._open[1].close()

    def _release(self) -> None:
        if self._open is not None:
            self._open[1].suspend()

    def _remove(self) -> None:
        if self._open is not None:
            self._open[1].discard()
