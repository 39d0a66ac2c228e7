"""Label TIFFs: one uncompressed file that ImageJ, napari and QuPath open with the right axes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.labels.destination import removed, replaced
from sam2_core.volumes.labels.frame_journal import FrameJournal
from sam2_core.volumes.labels.label_stack import LabelStack
from sam2_core.volumes.labels.layout import LabelLayout
from sam2_core.volumes.labels.part_writer import PartWriter
from sam2_core.volumes.labels.tiff_description import empty_tiff, tiff_description, unwritten_note
from sam2_core.volumes.labels.volume_labels import VolumeLabels


class TiffLabelWriter(PartWriter):
    """Writes a label TIFF: ImageJ's kind, or OME-TIFF for ids above 65535, more than 4 GB or names ending in .ome.tif.

    The part is ``NAME.part.tif``, a complete TIFF from the start; which of its frames are written is in
    ``NAME.part.frames``. See :class:`PartWriter`.
    """

    def __init__(self, destination: Path, layout: LabelLayout, **options: Any) -> None:
        self._part = destination.with_name(destination.name + ".part.tif")
        self._journal = FrameJournal(destination.with_name(destination.name + ".part.frames"))
        self._file: BinaryIO | None = None
        self._offset = 0
        super().__init__(destination, layout, **options)

    def _part_exists(self) -> bool:
        return self._part.exists() and self._journal.path.exists()

    def _part_layout(self) -> LabelLayout:
        return self._journal.read()[0]

    def _create_part(self) -> None:
        pixels = empty_tiff(self._part, self.destination.name, self.layout, self.metadata)
        self._offset = int(pixels.offset)
        del pixels  # written through a plain file: a full disk is then an error, and not the end of the process
        self._journal.create(self.layout, self.metadata)
        self._file = self._part.open("r+b", buffering=0)

    def _open_part(self) -> None:
        _, metadata, written = self._journal.read()
        self.metadata = self.metadata or metadata
        with tifffile.TiffFile(self._part) as file:
            offset = file.series[0].dataoffset
            size = file.filehandle.size
        if offset is None or size < offset + self._frame_bytes * len(self):
            raise InvalidInputError(f"{self._part} is damaged. Remove it, or pass overwrite=True to begin again.")
        self._offset = int(offset)
        self._written[:] = written
        self._file = self._part.open("r+b", buffering=0)

    @property
    def _frame_bytes(self) -> int:
        return self.frame_size[0] * self.frame_size[1] * self.dtype.itemsize

    def _write_pixels(self, index: int, labels: NDArray[Any], y0: int, x0: int) -> None:
        width = self.frame_size[1]
        start = self._offset + index * self._frame_bytes
        stored = labels.astype(self.dtype.newbyteorder("<"), copy=False)
        if labels.shape[1] == width:
            self._put(start + y0 * width * self.dtype.itemsize, stored)
            return
        for row, line in enumerate(stored):
            self._put(start + ((y0 + row) * width + x0) * self.dtype.itemsize, line)

    def _put(self, position: int, pixels: NDArray[Any]) -> None:
        assert self._file is not None
        self._file.seek(position)
        rest = pixels.data.cast("B")
        while rest:
            rest = rest[self._file.write(rest) :]

    def _read_part(self, index: int) -> NDArray[Any]:
        assert self._file is not None
        self._file.seek(self._offset + index * self._frame_bytes)
        pixels = bytearray(self._frame_bytes)
        rest = memoryview(pixels)
        while rest:
            count = self._file.readinto(rest)  # type: ignore[attr-defined]
            if not count:
                raise InvalidInputError(f"{self._part} has become shorter; something else has changed it.")
            rest = rest[count:]
        return (
            np.frombuffer(pixels, self.dtype.newbyteorder("<")).reshape(self.frame_size).astype(self.dtype, copy=False)
        )

    def _record_written(self, index: int) -> None:
        self._journal.append(index)

    def _close_part(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _finish_part(self) -> None:
        assert self._file is not None
        os.fsync(self._file.fileno())
        self._close_part()  # Windows does not rename an open file
        if not self._written.all():
            with tifffile.TiffFile(self._part, mode="r+") as file:
                file.pages.first.tags["Software"].overwrite(unwritten_note(~self._written))
        replaced(self._part, self.destination)
        removed(self._journal.path)

    def _remove_part(self) -> None:
        removed(self._part)
        removed(self._journal.path)

    def _open_finished(self) -> LabelStack:
        return TiffLabels(self.destination)


class TiffLabels(VolumeLabels):
    """The frames of a label TIFF of any kind: ImageJ, OME, plain pages; compressed or not; with what it says of them.

    Parameters
    ----------
    source : Path
    axis : str, optional
        Which axis frames are counted along, needed where several are longer than one.
    at : mapping of str to int, optional
        Positions on the others.
    """

    def _describe(self, name: str, frames: FrameStack) -> None:
        described = tiff_description(Path(name))
        # of z-stacks over time the note numbers the frames of all of them
        count = len(frames) * frames.frame_size[0] * frames.frame_size[1]
        is_whole = frames.volume is None or count == np.prod(frames.volume.shape)
        unwritten = described.unwritten if is_whole else ""
        self._take_up(name, frames, described.spacing, described.unit, unwritten, described.metadata)
