"""Picture files as the frames of one volume: a folder in natural order, or a list of paths."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.volumes.array_volume import frame_axes
from sam2_core.volumes.axes import AXES
from sam2_core.volumes.file_stamp import FileStamp
from sam2_core.volumes.picture_volume import PictureVolume
from sam2_core.volumes.reader import OpenOptions
from sam2_core.volumes.source import PICTURE_SUFFIXES, TIFF_SUFFIXES
from sam2_core.volumes.tiff_volume import TiffVolume
from sam2_core.volumes.volume import Volume

# headers looked at when a folder is opened; on a network drive thousands would take minutes
HEADERS_CHECKED = 64


class FilesVolume(Volume):
    """Picture files as the frames of one volume, in the order given.

    The first, the last and up to 64 files between are compared when it is opened; every file when it is read.

    Parameters
    ----------
    paths : sequence of Path
        At least one file, each holding one picture.
    axis : str, optional
        What the files are: "t", "z" or, for grey pictures, "c" (alone, or among all axes as in "zyx"). A guess ("t") by
        default.
    name : str
        What messages call it.
    address : str, optional

    Raises
    ------
    MissingFileError, InvalidInputError
        No such file, a file that is no picture, or pictures that differ in size, channels or dtype.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        axis: str | Sequence[str] | None = None,
        name: str = "frames",
        address: str | None = None,
    ) -> None:
        self._paths = list(paths)
        self._stamps: dict[int, FileStamp] = {}
        self._lock = threading.Lock()
        with self._open_single(0) as first:
            self._kind = _kind(first)
            first_volume = first
        spread = np.linspace(0, len(self._paths) - 1, min(len(self._paths), HEADERS_CHECKED + 2)).round().astype(int)
        for index in np.unique(spread)[1:]:
            with self._open_single(int(index)) as picture:
                self._require_same_kind(int(index), picture)
        has_channels = "c" in self._kind[0]
        self._frame_axis = frame_axes(axis, has_channels=has_channels, name=name)[0]
        sizes = {**{letter: size for letter, size in first_volume.sizes.items() if letter in "cyx"}}
        sizes[self._frame_axis] = len(self._paths)
        ordered = "".join(sorted(sizes, key=AXES.index))
        pieces = dict(zip(first_volume.axes, first_volume.chunks, strict=True)) | {self._frame_axis: 1}
        super().__init__(
            name=name,
            axes=ordered,
            shape=[sizes[letter] for letter in ordered],
            dtype=first_volume.dtype,
            chunks=[pieces[letter] for letter in ordered],
            scale=first_volume.scale,
            units=first_volume.units,
            channel_names=first_volume.channel_names if has_channels else None,
            address=address,
            colour=first_volume.colour,
            guessed_axis="" if axis is not None else self._frame_axis,
        )

    def source_file(self, axis: str, position: int) -> tuple[Path, str] | None:
        """Name the file of a frame; see :meth:`Volume.source_file`."""
        return (self._paths[position], "") if axis == self._frame_axis else None

    def source_files(self) -> tuple[Path, ...]:
        """Name the files of all frames; see :meth:`Volume.source_files`."""
        return tuple(self._paths)

    def _open_single(self, index: int) -> Volume:
        path = self._paths[index]
        with self._lock:
            stamp = self._stamps.get(index)
            if stamp is None:
                self._stamps[index] = FileStamp.of(path)
        if stamp is not None:
            stamp.check()
        is_tiff = path.suffix.casefold() in TIFF_SUFFIXES
        picture: Volume = TiffVolume(path) if is_tiff else PictureVolume(path)
        count = int(np.prod([size for letter, size in picture.sizes.items() if letter in "tz"], dtype=np.int64))
        if count != 1:
            picture.close()
            raise InvalidInputError(
                f"{path.name} holds {count} frames; in a folder of frames each file must hold one. Open that file by "
                "itself."
            )
        return picture

    def _require_same_kind(self, index: int, picture: Volume) -> None:
        kind = _kind(picture)
        if kind != self._kind:
            raise InvalidInputError(
                f"The frames differ: {self._paths[index].name} is {_described(*kind)}, {self._paths[0].name} is "
                f"{_described(*self._kind)}. All frames of a stack must have one size, number of channels and dtype."
            )

    def _read_region(self, region: tuple[slice, ...]) -> NDArray[Any]:
        parts = dict(zip(self.axes, region, strict=True))
        frames = parts.pop(self._frame_axis)
        pictures = []
        for index in range(frames.start, frames.stop):
            with self._open_single(index) as picture:
                self._require_same_kind(index, picture)
                inner = tuple(parts.get(letter, slice(0, 1)) for letter in picture.axes)
                pixels = picture.read_region(inner)
            # a single z or t of a file goes
            kept = tuple(slice(None) if letter in "cyx" else 0 for letter in picture.axes)
            pictures.append(pixels[kept])
        return np.stack(pictures, axis=self.axes.index(self._frame_axis))


class FolderReader:
    """Reads folders of pictures in natural order, and lists of paths in the order given."""

    name = "folder of pictures"

    def matches(self, source: Any) -> int:
        """Say how well this reader fits the source; see :class:`~sam2_core.volumes.reader.Reader`."""
        if isinstance(source, Path):
            return 1 if source.is_dir() else 0
        is_list = isinstance(source, Sequence) and not isinstance(source, str | bytes | bytearray)
        return 2 if is_list and source and all(isinstance(item, str | os.PathLike) for item in source) else 0

    def open(self, source: Any, options: OpenOptions) -> Volume:
        """Open the pictures."""
        if not isinstance(source, Path):
            options.require_single("The list of files")
            paths = [Path(item) for item in source]
            for path in paths:
                if not path.is_file():
                    raise MissingFileError(f"There is no file {path}.")
            return FilesVolume(paths, axis=options.axes, name="list of files")
        options.require_single(source.name)
        suffixes = PICTURE_SUFFIXES + TIFF_SUFFIXES
        pictures = [
            file
            for file in source.iterdir()
            if file.suffix.casefold() in suffixes and not file.name.startswith(".") and file.is_file()
        ]
        if not pictures:
            raise InvalidInputError(
                f"The folder {source} holds no pictures. Expected one picture file a frame, ending in "
                f"{', '.join(suffixes)}."
            )
        pictures.sort(key=natural_order)
        return FilesVolume(pictures, axis=options.axes, name=source.name, address=str(source))


def natural_order(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Sort key that counts: frame2 before frame10, whatever the case of the letters."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return tuple((1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts)


_Kind = tuple[str, tuple[int, ...], np.dtype[Any]]


def _kind(picture: Volume) -> _Kind:
    inner = {letter: size for letter, size in picture.sizes.items() if letter in "cyx"}
    return "".join(inner), tuple(inner.values()), picture.dtype


def _described(axes: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    channel_count = shape[axes.index("c")] if "c" in axes else 1
    return f"{shape[-2]} x {shape[-1]} (height x width), {channel_count} channel(s), {dtype}"
