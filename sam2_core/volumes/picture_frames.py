"""One picture file (PNG, JPEG, …) and folders of picture files in natural order."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.volumes.contrast import Contrast
from sam2_core.volumes.frame_stack import FrameStack

# headers looked at when a folder is opened; on a network drive thousands would take minutes
HEADERS_CHECKED = 64
_ORIENTATION_TAG = 0x0112
_SIDEWAYS_ORIENTATIONS = (5, 6, 7, 8)

# Pillow mode -> (mode to convert to, channels, dtype). Alpha is dropped, not blended: what lies under it is the data.
_MODES: dict[str, tuple[str, int, str]] = {
    "1": ("L", 1, "uint8"),
    "L": ("L", 1, "uint8"),
    "LA": ("L", 1, "uint8"),
    "La": ("L", 1, "uint8"),
    "I": ("I", 1, "int32"),
    "F": ("F", 1, "float32"),
}


class PictureFrames(FrameStack):
    """One picture read with Pillow: PNG, JPEG, BMP, WebP and whatever else Pillow reads.

    The orientation noted by a camera (EXIF) is applied, palettes and one-bit pictures become grey or colour values, and
    an alpha channel is dropped.

    Parameters
    ----------
    source : Path, bytes or PIL.Image.Image
    contrast : None, "auto" or (float, float)
        See :class:`FrameStack`.
    """

    def __init__(
        self, source: Path | bytes | Image.Image, *, contrast: Contrast = None, name: str | None = None
    ) -> None:
        self._source = source
        self._label = name or (source.name if isinstance(source, Path) else "picture")
        # the header is enough, except that PNG keeps its orientation after the pixels
        with self._opened() as picture, self._decoding():
            width, height = picture.size
            if picture.getexif().get(_ORIENTATION_TAG, 1) in _SIDEWAYS_ORIENTATIONS:
                width, height = height, width
            mode = picture.mode
        self._target_mode, channel_count, dtype = _target(mode)
        super().__init__(
            name=self._label,
            length=1,
            frame_size=(height, width),
            channel_count=channel_count,
            dtype=np.dtype(dtype),
            axis="frame",
            colour=channel_count == 3,
            contrast=contrast,
        )

    def source_file(self, index: int) -> tuple[Path, str] | None:
        """Name the file; see :meth:`FrameStack.source_file`."""
        return (self._source, "") if isinstance(self._source, Path) else None

    @contextmanager
    def _opened(self) -> Iterator[Image.Image]:
        if isinstance(self._source, Image.Image):
            yield self._source
            return
        try:
            with Image.open(io.BytesIO(self._source) if isinstance(self._source, bytes) else self._source) as picture:
                yield picture
        except FileNotFoundError:
            raise MissingFileError(f"There is no file {self._source!s}.") from None
        except UnidentifiedImageError:
            raise InvalidInputError(
                f"{self._label} is not a picture that can be read: its content is none of the known formats (PNG, "
                "JPEG, TIFF, BMP, WebP, …). It may be damaged, or another kind of file under this name."
            ) from None
        except Image.DecompressionBombError as error:
            raise InvalidInputError(
                f"{self._label} is larger than Pillow agrees to decode ({error}). Save it as TIFF, or raise "
                "PIL.Image.MAX_IMAGE_PIXELS if you trust the file."
            ) from error

    def _read_raw(self, index: int) -> NDArray[Any]:
        with self._opened() as picture, self._decoding():
            upright = ImageOps.exif_transpose(picture)
            if self._target_mode and upright.mode != self._target_mode:
                upright = upright.convert(self._target_mode)
            frame: NDArray[Any] = np.asarray(upright).astype(self.dtype, copy=False)
        return frame.reshape(*frame.shape[:2], -1)

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        try:
            yield
        except (OSError, SyntaxError, ValueError) as error:
            # Pillow reports a broken PNG chunk as SyntaxError and a short file as OSError
            raise InvalidInputError(
                f"{self._label} cannot be decoded ({error}). The file seems to be cut short or damaged; copy or "
                "download it again."
            ) from error


def _target(mode: str) -> tuple[str, int, str]:
    if mode.startswith("I;16"):
        return "", 1, "uint16"
    return _MODES.get(mode, ("RGB", 3, "uint8"))


class FolderFrames(FrameStack):
    """Picture files as the frames of one stack, in the order given.

    The first, the last and up to 64 files between are compared when the stack is opened; every file when it is read.

    Parameters
    ----------
    paths : sequence of Path
        At least one file, each holding one picture.
    open_picture : callable
        Opens one file as a stack.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        open_picture: Callable[[Path], FrameStack],
        contrast: Contrast = None,
        name: str = "frames",
    ) -> None:
        self._paths = list(paths)
        self._open_picture = open_picture
        with self._open_single(0) as first:
            first_size, first_channels, first_dtype, colour = (
                first.frame_size,
                first.channel_count,
                first.dtype,
                first.colour,
            )
        self._kind = (first_size, first_channels, first_dtype)
        spread = np.linspace(0, len(self._paths) - 1, min(len(self._paths), HEADERS_CHECKED + 2)).round().astype(int)
        for index in np.unique(spread)[1:]:
            with self._open_single(int(index)) as picture:
                self._require_same_kind(int(index), picture)
        super().__init__(
            name=name,
            length=len(self._paths),
            frame_size=first_size,
            channel_count=first_channels,
            dtype=first_dtype,
            axis="frame",
            colour=colour,
            contrast=contrast,
        )

    def source_file(self, index: int) -> tuple[Path, str] | None:
        """Name the frame's own file; see :meth:`FrameStack.source_file`."""
        return self._paths[index], ""

    def _open_single(self, index: int) -> FrameStack:
        picture = self._open_picture(self._paths[index])
        if len(picture) != 1:
            count = len(picture)
            picture.close()
            raise InvalidInputError(
                f"{self._paths[index].name} holds {count} frames; in a folder of frames each file must hold one. "
                "Open that file by itself."
            )
        return picture

    def _require_same_kind(self, index: int, picture: FrameStack) -> None:
        kind = (picture.frame_size, picture.channel_count, picture.dtype)
        if kind != self._kind:
            raise InvalidInputError(
                f"The frames differ: {self._paths[index].name} is {_described(*kind)}, {self._paths[0].name} is "
                f"{_described(*self._kind)}. All frames of a stack must have one size, number of channels and dtype."
            )

    def _read_raw(self, index: int) -> NDArray[Any]:
        with self._open_single(index) as picture:
            self._require_same_kind(index, picture)
            return picture.read_raw(0)


def _described(frame_size: tuple[int, int], channel_count: int, dtype: np.dtype[np.generic]) -> str:
    return f"{frame_size[0]} x {frame_size[1]} (height x width), {channel_count} channel(s), {dtype}"


def natural_order(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Sort key that counts: frame2 before frame10, whatever the case of the letters."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return tuple((1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts)
