"""Cell Tracking Challenge folders: ``mask000.tif``, … and ``res_track.txt`` (in TRA: ``man_track``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels.ctc_tracks import TrackTable, checked_parents
from sam2_core.volumes.labels.destination import DestinationLock, replaced
from sam2_core.volumes.labels.folder_writer import DESCRIPTION_NAME, FolderWriter, read_description
from sam2_core.volumes.labels.label_stack import LabelStack, unsigned
from sam2_core.volumes.labels.layout import LabelLayout
from sam2_core.volumes.labels.png import require_only
from sam2_core.volumes.labels.tiff import TiffLabels, TiffLabelWriter

_MASK = re.compile(r"(?:mask|man_track)(\d+)\.tif", re.IGNORECASE)
_LOCK_WAIT_S = 60.0


def _names(folder: Path) -> tuple[str, str]:
    """Beginning of the masks' names and name of the table: results, or truth in a folder named TRA."""
    return ("man_track", "man_track.txt") if folder.name.upper() == "TRA" else ("mask", "res_track.txt")


def _require_16_bit(layout: LabelLayout) -> None:
    if layout.dtype != np.uint16:
        raise InvalidInputError(
            f'Cell Tracking Challenge folders hold 16-bit masks (dtype="uint16", ids to 65535); got {layout.dtype}.'
        )


class CtcLabelWriter(FolderWriter):
    """Writes a time-lapse: a TIFF a frame, and the table of tracks. See :class:`FolderWriter`.

    ``metadata={"parents": {child: parent}}`` fills the last column. An object that is away for some frames keeps one
    line, from its first to its last frame.
    """

    def __init__(self, destination: Path, layout: LabelLayout, *, metadata: dict[str, Any], **options: Any) -> None:
        _require_16_bit(layout)
        checked_parents(metadata)
        self._stem, self._table_name = _names(destination)
        self._digits = 3 if layout.length <= 1000 else len(str(layout.length - 1))
        super().__init__(destination, layout, metadata=metadata, **options)

    def _frame_name(self, index: int) -> str:
        return f"{self._stem}{index:0{self._digits}d}.tif"

    def _save_frame(self, path: Path, labels: NDArray[Any]) -> None:
        save_mask(path, labels)

    def _load_frame(self, path: Path) -> NDArray[Any]:
        return tifffile.imread(path)

    def _finish_part(self) -> None:
        self._fill_unwritten()
        table = TrackTable(checked_parents(self.metadata))
        for index in range(len(self)):
            table.observe(index, np.unique(self._read_part(index)).tolist())
        table.save(self._part / self._table_name)
        replaced(self._part, self.destination)

    def _open_finished(self) -> LabelStack:
        return CtcLabels(self.destination)

    def _require_replaceable(self) -> None:
        require_only(self.destination, rf"(?i:{_MASK.pattern})|res_track\.txt|man_track\.txt")


class CtcVolumeWriter(TiffLabelWriter):
    """Writes one z-stack of a time-lapse of z-stacks: ``maskTTT.tif`` (z, y, x), and its lines in the table.

    Parameters
    ----------
    folder : Path
    layout : LabelLayout
        Along z.
    time_point : int
        The number of the mask.
    """

    def __init__(
        self, folder: Path, layout: LabelLayout, *, time_point: int, metadata: dict[str, Any], **options: Any
    ) -> None:
        _require_16_bit(layout)
        checked_parents(metadata)
        stem, self._table_name = _names(folder)
        self._folder, self._time_point = folder, time_point
        super().__init__(folder / f"{stem}{time_point:03d}.tif", layout, metadata=metadata, **options)

    def _finish_part(self) -> None:
        ids: set[int] = set()
        for index in range(len(self)):
            ids.update(np.unique(self._read_part(index)).tolist())
        super()._finish_part()
        hold = DestinationLock(self._folder / (self._table_name + ".lock"), str(self._folder), _LOCK_WAIT_S)
        try:
            self._update_table(ids)
        finally:
            hold.release()

    def _update_table(self, ids: set[int]) -> None:
        path = self._folder / self._table_name
        table = TrackTable.load(path) if path.exists() else TrackTable()
        parents = {object_id: track.parent for object_id, track in table.tracks.items() if track.parent}
        parents |= checked_parents(self.metadata)
        edges = {object_id for object_id, track in table.tracks.items() if self._time_point in (track.begin, track.end)}
        updated = TrackTable(parents)
        if edges - ids:
            # an object has gone from its first or last time point: only the masks say where it is now
            for time_point, mask in _masks(self._folder).items():
                with TiffLabels(mask) as volume:
                    for frame in volume:
                        updated.observe(time_point, np.unique(frame).tolist())
        else:
            for object_id, track in table.tracks.items():
                updated.observe(track.begin, [object_id])
                updated.observe(track.end, [object_id])
            updated.observe(self._time_point, ids)
        updated.save(path)


class CtcLabels(LabelStack):
    """The masks of a Cell Tracking Challenge folder: results or truth, planes or z-stacks over time.

    ``metadata["parents"]`` is what the table of tracks says now, where there is one.

    Parameters
    ----------
    source : Path
    axis : str, optional
        For z-stacks: "t" (the default where there are several) or "z".
    at : mapping of str to int, optional
        For z-stacks: the position on the other axis.
    """

    def __init__(self, source: Path, *, axis: str | None = None, at: Mapping[str, int] | None = None) -> None:
        masks = _masks(source)
        described = read_description(source) if (source / DESCRIPTION_NAME).exists() else None
        if not masks and described is None:
            raise InvalidInputError(
                f"{source} holds no masks of the Cell Tracking Challenge (mask000.tif, … or man_track000.tif, …)."
            )
        tables = [
            TrackTable.load(table) for table in (source / "res_track.txt", source / "man_track.txt") if table.exists()
        ]
        # the table is what other programs read and people edit: what it says counts, not what was once written with it
        parents = {one: track.parent for table in tables for one, track in table.tracks.items() if track.parent}
        from_table: dict[str, Any] = {"parents": parents} if tables else {}
        length = described[0].length if described else max(masks) + 1
        missing = sorted(set(range(length)) - set(masks))
        unfinished = described is not None and described[2] is None
        written = np.array([number in masks for number in range(length)]) if unfinished else None
        shape, dtype = _shape_of(next(iter(masks.values()))) if masks else ((0, 0), np.dtype(np.uint16))
        self._paths = masks
        self._plane = None
        self._volume: TiffLabels | None = None
        if len(shape) == 2:
            if missing and not unfinished:
                raise InvalidInputError(f"{source} lacks the mask of frame {missing[0]}.")
            layout = LabelLayout(length, (shape[0], shape[1]), "t", unsigned(dtype, str(source)))
            if described:
                layout, _, written = described[0], None, described[2] if described[2] is not None else written
            metadata = {"parents": parents} if described is None else {**described[1], **from_table}
            super().__init__(str(source), layout, written=written, metadata=metadata)
            return
        position = {letter: int(number) for letter, number in (at or {}).items()}
        if axis == "z" or "t" in position or (axis is None and len(masks) == 1):
            number = position.get("t", next(iter(masks)))
            if number not in masks or (len(masks) > 1 and "t" not in position):
                raise InvalidInputError(
                    f"{source} has z-stacks at t = {sorted(masks)[0]} to {max(masks)}; choose one that is there, such "
                    f'as at={{"t": {sorted(masks)[0]}}}.'
                )
            self._volume = TiffLabels(masks[number])
            volume = self._volume
            metadata = {**volume.metadata, **from_table}
            super().__init__(str(source), volume.layout, written=volume._written, metadata=metadata)
            return
        if "z" not in position or not 0 <= position["z"] < shape[0] or missing:
            raise InvalidInputError(
                f'{source} holds z-stacks (z, y, x) = {shape} over time. Choose one with axis="z", at={{"t": 0}}, or a '
                f'plane of each with at={{"z": 0}}'
                + (f"; for that the mask of frame {missing[0]} is missing." if missing else ".")
            )
        self._plane = position["z"]
        layout = LabelLayout(length, (shape[1], shape[2]), "t", unsigned(dtype, str(source)))
        super().__init__(str(source), layout, metadata=from_table)

    def _read_pixels(self, index: int) -> NDArray[Any]:
        if self._volume is not None:
            return self._volume.read(index)
        path = self._paths.get(index)
        if path is None:
            return np.zeros(self.frame_size, dtype=self.dtype)
        try:
            return np.asarray(tifffile.imread(path, key=self._plane))
        except (tifffile.TiffFileError, ValueError, IndexError) as error:
            raise InvalidInputError(f"{path} cannot be read ({error}). It is damaged or cut short.") from error

    def close(self) -> None:
        """Close the file of a z-stack."""
        if self._volume is not None:
            self._volume.close()


def _shape_of(mask: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        with tifffile.TiffFile(mask) as file:
            return file.series[0].shape, np.dtype(file.series[0].dtype)
    except (tifffile.TiffFileError, ValueError, IndexError) as error:
        raise InvalidInputError(f"{mask} is not a readable TIFF ({error}).") from error


def is_ctc_folder(folder: Path) -> bool:
    """Whether a folder holds masks of the Cell Tracking Challenge."""
    return bool(_masks(folder))


def clear_ctc_folder(folder: Path) -> None:
    """Delete the masks and the table of a folder, and nothing else."""
    for path in [*_masks(folder).values(), folder / _names(folder)[1]]:
        path.unlink(missing_ok=True)


def save_mask(path: Path, labels: NDArray[Any]) -> None:
    """Write one frame as a small TIFF: (y, x)."""
    tifffile.imwrite(path, labels, compression="zlib", software="sam2-lab")


def _masks(folder: Path) -> dict[int, Path]:
    found = {int(match[1]): path for path in folder.iterdir() if (match := _MASK.fullmatch(path.name))}
    return dict(sorted(found.items()))
