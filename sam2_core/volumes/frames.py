"""open_frames: any supported source as a FrameStack."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sam2_core.errors import InvalidInputError, InvalidTypeError, MissingFileError
from sam2_core.volumes.array_frames import ArrayFrames, PictureListFrames
from sam2_core.volumes.contrast import Contrast
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.picture_frames import FolderFrames, PictureFrames, natural_order
from sam2_core.volumes.tiff_frames import TiffFrames

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".webp", ".ppm", ".pgm", ".pnm", ".tga", ".jp2")
TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".lsm", ".stk")
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ts", ".gif")

SUPPORTED = (
    "a picture (PNG, JPEG, TIFF, BMP, WebP), a TIFF stack (ImageJ, OME or plain pages), a folder of pictures, a video "
    "(mp4, mov, avi, mkv, webm, gif), the bytes of such a file, a numpy array (y, x[, 3]) or (t, y, x[, channel]), or "
    "a list of pictures"
)

FrameSource: TypeAlias = str | os.PathLike[str] | bytes | NDArray[Any] | Image.Image | FrameStack | Sequence[Any]

__all__ = ["FrameSource", "FrameStack", "open_frames"]


def open_frames(
    source: FrameSource,
    *,
    axis: str | None = None,
    at: Mapping[str, int] | None = None,
    channels: Sequence[int] | None = None,
    contrast: Contrast = None,
) -> FrameStack:
    """Open anything that holds frames; nothing but headers is read until a frame is asked for.

    Parameters
    ----------
    source : path, bytes, array, picture, list or FrameStack
        A picture (PNG, JPEG, TIFF, BMP, WebP), a TIFF stack (ImageJ, OME, plain pages), a folder of pictures (natural
        order: frame2 before frame10), a video (mp4, mov, avi, mkv, webm, gif), the bytes of one of these files, an
        array (y, x[, 3]) or (t, y, x[, channel]), a list of such pictures or of paths, or a stack that is already open
        (returned as it is).
    axis : str, optional
        For TIFF: the axis frames are counted along ("z", "t"), needed where several are longer than one.
    at : mapping of str to int, optional
        For TIFF: the position on each other axis, such as ``{"t": 3}``.
    channels : sequence of int, optional
        For TIFF with a channel axis: up to three channels, shown as red, green, blue.
    contrast : None, "auto" or (float, float), default None
        ``None``: uint8 as it is, other dtypes scaled between their 1st and 99.8th percentile, taken once for the whole
        stack. "auto": the same for uint8. A pair: the intensities for black and white.

    Returns
    -------
    FrameStack
        ``len(stack)``, ``stack.frame_size`` (height, width), ``stack.read(index)`` -> (y, x, 3) uint8 RGB.

    Raises
    ------
    MissingFileError
        No such file or folder.
    InvalidInputError, InvalidTypeError
        Not a supported source, an empty folder, frames of differing size, a damaged file.
    """
    if isinstance(source, FrameStack):
        return source
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        stack_options = _StackOptions(axis, at, tuple(channels) if channels is not None else None, contrast)
        return _open_folder(path, contrast) if path.is_dir() else _open_file(path, stack_options)
    if isinstance(source, bytes | bytearray | memoryview):
        return _open_bytes(bytes(source), _StackOptions(axis, at, tuple(channels) if channels else None, contrast))
    if isinstance(source, Image.Image):
        return PictureFrames(source, contrast=contrast)
    if isinstance(source, np.ndarray) or all(hasattr(source, name) for name in ("shape", "dtype", "__getitem__")):
        return ArrayFrames(source, contrast=contrast)
    if isinstance(source, Sequence):
        return _open_list(source, contrast)
    raise InvalidTypeError(f"Cannot read frames from {type(source).__name__}. Expected {SUPPORTED}.")


class _StackOptions:
    """What only stacks with named axes can use."""

    def __init__(
        self,
        axis: str | None = None,
        at: Mapping[str, int] | None = None,
        channels: tuple[int, ...] | None = None,
        contrast: Contrast = None,
    ) -> None:
        self.axis, self.at, self.channels, self.contrast = axis, at, channels, contrast

    def open_tiff(self, source: Path | bytes) -> FrameStack:
        return TiffFrames(source, axis=self.axis, at=self.at, channels=self.channels, contrast=self.contrast)

    def refuse(self, name: str) -> None:
        """Sources without named axes cannot follow these options; saying nothing would be worse than an error."""
        given = [
            word for word, value in (("at", self.at), ("channels", self.channels)) if value is not None and value != {}
        ]
        if given:
            raise InvalidInputError(f"{name} has no named axes, so {' and '.join(given)} cannot be used with it.")


def _open_file(path: Path, options: _StackOptions) -> FrameStack:
    if not path.exists():
        raise MissingFileError(f"There is no file or folder {path}. Check the spelling and the current folder.")
    suffix = path.suffix.casefold()
    if suffix in TIFF_SUFFIXES:
        return options.open_tiff(path)
    if suffix in PICTURE_SUFFIXES:
        options.refuse(path.name)
        return PictureFrames(path, contrast=options.contrast)
    if suffix in VIDEO_SUFFIXES:
        return _open_video(path, options)
    # an unknown ending says nothing; the first bytes do
    with path.open("rb") as file:
        start = file.read(16)
    kind = _kind_of(start)
    if kind == "tiff":
        return options.open_tiff(path)
    if kind == "picture":
        return PictureFrames(path, contrast=options.contrast)
    if kind == "video":
        return _open_video(path, options)
    raise InvalidInputError(f"{path.name} is not of a kind that can be read. Expected {SUPPORTED}.")


def _open_bytes(content: bytes, options: _StackOptions) -> FrameStack:
    kind = _kind_of(content[:16])
    if kind == "tiff":
        return options.open_tiff(content)
    options.refuse("The source")
    if kind == "picture":
        return PictureFrames(content, contrast=options.contrast)
    return _open_video(content, options)


def _open_video(source: Path | bytes, options: _StackOptions) -> FrameStack:
    # PyAV takes a while to load and most sources are not videos
    from sam2_core.volumes.video_frames import VideoFrames

    options.refuse(source.name if isinstance(source, Path) else "The video")
    return VideoFrames(source, contrast=options.contrast)


def _open_picture(path: Path) -> FrameStack:
    return TiffFrames(path) if path.suffix.casefold() in TIFF_SUFFIXES else PictureFrames(path)


def _open_folder(path: Path, contrast: Contrast) -> FrameStack:
    suffixes = PICTURE_SUFFIXES + TIFF_SUFFIXES
    pictures = [
        file
        for file in path.iterdir()
        if file.suffix.casefold() in suffixes and not file.name.startswith(".") and file.is_file()
    ]
    if not pictures:
        raise InvalidInputError(
            f"The folder {path} holds no pictures. Expected one picture file a frame, ending in {', '.join(suffixes)}."
        )
    pictures.sort(key=natural_order)
    return FolderFrames(pictures, open_picture=_open_picture, contrast=contrast, name=path.name)


def _open_list(source: Sequence[Any], contrast: Contrast) -> FrameStack:
    if not source:
        raise InvalidInputError(f"The list is empty. Expected {SUPPORTED}.")
    if all(isinstance(item, str | os.PathLike) for item in source):
        paths = [Path(item) for item in source]
        for path in paths:
            if not path.is_file():
                raise MissingFileError(f"There is no file {path}.")
        return FolderFrames(paths, open_picture=_open_picture, contrast=contrast, name="list of files")
    if all(isinstance(item, np.ndarray | Image.Image) for item in source):
        pictures = [item if isinstance(item, np.ndarray) else PictureFrames(item).read_raw(0) for item in source]
        return PictureListFrames(pictures, contrast=contrast)
    kinds = sorted({type(item).__name__ for item in source})
    raise InvalidTypeError(f"Cannot read frames from a list of {', '.join(kinds)}. Expected {SUPPORTED}.")


def _kind_of(start: bytes) -> str:
    """Kind of file its first 16 bytes announce: "tiff", "picture", "video" or "" for unknown."""
    if start[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return "tiff"
    if start.startswith((b"\x89PNG", b"\xff\xd8\xff", b"BM", b"\x00\x00\x00\x0cjP")) or start[8:12] == b"WEBP":
        return "picture"
    if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free") or start.startswith((b"\x1aE\xdf\xa3", b"GIF8")):
        return "video"
    if start.startswith(b"RIFF") and start[8:12] == b"AVI ":
        return "video"
    return ""
