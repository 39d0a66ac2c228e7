"""One picture file (PNG, JPEG, …) as a volume, read with Pillow."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.volumes.axes import parse_axes
from sam2_core.volumes.file_stamp import FileStamp
from sam2_core.volumes.reader import OpenOptions
from sam2_core.volumes.source import PICTURE_SUFFIXES, is_file_of
from sam2_core.volumes.volume import Volume

_ORIENTATION_TAG = 0x0112
_SIDEWAYS_ORIENTATIONS = (5, 6, 7, 8)

# how Pillow calls what it would cut down to 8 bits -> channels that are no alpha
_DEEP_PNG = {"RGB;16B": 3, "RGBA;16B": 3, "LA;16B": 1}

# Pillow mode -> (mode to convert to, channels, dtype). Alpha is dropped, not blended: what lies under it is the data.
_MODES: dict[str, tuple[str, int, str]] = {
    "1": ("L", 1, "uint8"),
    "L": ("L", 1, "uint8"),
    "LA": ("L", 1, "uint8"),
    "La": ("L", 1, "uint8"),
    "I": ("I", 1, "int32"),
    "F": ("F", 1, "float32"),
}


class PictureVolume(Volume):
    """One picture read with Pillow: PNG, JPEG, BMP, WebP and whatever else Pillow reads.

    The orientation noted by a camera (EXIF) is applied, palettes and one-bit pictures become grey or colour values, and
    an alpha channel is dropped. PNGs keep their 16 bits, in colours too, which Pillow would halve.

    Parameters
    ----------
    source : Path, bytes or PIL.Image.Image
    name : str, optional
        What messages call it.

    Raises
    ------
    MissingFileError, InvalidInputError
        No such file, or one that is no picture or is damaged.
    """

    def __init__(self, source: Path | bytes | Image.Image, *, name: str | None = None) -> None:
        self._source = source
        self._label = name or (source.name if isinstance(source, Path) else "picture")
        self._stamp = FileStamp.of(source) if isinstance(source, Path) else None
        # the header is enough, except that PNG keeps its orientation after the pixels
        with self._opened() as picture, self._decoding():
            # looking for an orientation may decode the pixels, after which the depth is forgotten
            self._deep_channels = 0 if isinstance(source, Image.Image) else _deep_png_channels(picture)
            width, height = picture.size
            if picture.getexif().get(_ORIENTATION_TAG, 1) in _SIDEWAYS_ORIENTATIONS:
                width, height = height, width
            mode = picture.mode
        self._target_mode, channel_count, dtype = (
            ("", self._deep_channels, "uint16") if self._deep_channels else _target(mode)
        )
        is_colour = channel_count == 3
        super().__init__(
            name=self._label,
            axes="cyx" if is_colour else "yx",
            shape=(3, height, width) if is_colour else (height, width),
            dtype=np.dtype(dtype),
            chunks=(3, height, width) if is_colour else None,
            address=str(source) if isinstance(source, Path) else None,
            colour=is_colour,
            in_memory=isinstance(source, Image.Image),
        )

    def source_file(self, axis: str, position: int) -> tuple[Path, str] | None:
        """Name the file; see :meth:`Volume.source_file`."""
        return None if self._stamp is None else (self._stamp.path, "")

    def as_array(self) -> NDArray[Any]:
        """Decode the picture: (y, x) or (y, x, channel)."""
        if self._stamp is not None:
            self._stamp.check()
        with self._opened() as picture, self._decoding():
            if self._deep_channels:
                return self._deep_array(picture)
            upright = ImageOps.exif_transpose(picture)
            if self._target_mode and upright.mode != self._target_mode:
                upright = upright.convert(self._target_mode)
            pixels: NDArray[Any] = np.asarray(upright).astype(self.dtype, copy=False)
        return pixels

    def _deep_array(self, picture: Image.Image) -> NDArray[Any]:
        from imagecodecs import png_decode

        picture.load()  # damage is told as for any other picture, and PNG keeps its orientation after the pixels
        orientation = picture.getexif().get(_ORIENTATION_TAG, 1)
        encoded = self._source if isinstance(self._source, bytes) else Path(str(self._source)).read_bytes()
        pixels = _upright(np.asarray(png_decode(encoded)), orientation)
        return np.ascontiguousarray(pixels[..., 0] if self._deep_channels == 1 else pixels[..., :3])

    def _read_region(self, region: tuple[slice, ...]) -> NDArray[Any]:
        pixels = self.as_array()
        return (np.moveaxis(pixels, -1, 0) if "c" in self.axes else pixels)[region]

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


def _deep_png_channels(picture: Image.Image) -> int:
    """Channels, but alpha, of a PNG with several of 16 bits; 0 for any other picture."""
    tiles = getattr(picture, "tile", None)
    return _DEEP_PNG.get(str(tiles[0][3]), 0) if picture.format == "PNG" and tiles else 0


def _upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn pixels (y, x, …) as EXIF says."""
    if orientation >= _SIDEWAYS_ORIENTATIONS[0]:
        pixels = pixels.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return pixels[rows, columns]


def _target(mode: str) -> tuple[str, int, str]:
    if mode.startswith("I;16"):
        return "", 1, "uint16"
    return _MODES.get(mode, ("RGB", 3, "uint8"))


class PictureReader:
    """Reads single pictures: paths, bytes and Pillow pictures."""

    name = "picture"

    def matches(self, source: Any) -> int:
        """Say how well this reader fits the source; see :class:`~sam2_core.volumes.reader.Reader`."""
        return 2 if isinstance(source, Image.Image) else is_file_of(source, PICTURE_SUFFIXES, "picture")

    def open(self, source: Any, options: OpenOptions) -> Volume:
        """Open the picture."""
        volume = PictureVolume(source)
        options.require_single(volume.name)
        if options.axes is not None:
            parse_axes(options.axes, len(volume.axes), volume.name)
        return volume
