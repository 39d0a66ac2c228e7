"""The image as the browser gets it: tiles of a frame at levels of half, a quarter, … of its size."""

from __future__ import annotations

import io
import math
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.volumes.contrast import ContrastLimits
from sam2_core.volumes.frame_stack import FrameStack

#: Pixels along each side of a tile.
TILE_SIZE: Final = 512
#: Pixels of the frame that are read at once where a tile shows many of them.
BLOCK: Final = 2048
JPEG_QUALITY: Final = 85
#: Reduced tiles that are kept, since they cost much to read: bytes.
KEPT_BYTES: Final = 64 * 2**20

#: "jpeg" while a person moves through the stack, "deflate" (zlib, without loss) where they stay.
Codec: TypeAlias = Literal["jpeg", "deflate"]
Limits: TypeAlias = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class TilePlace:
    """Which tile: of level n each pixel is the mean of 2^n by 2^n pixels of the frame."""

    frame: int
    level: int
    column: int
    row: int


class FrameTiles:
    """Cuts a stack's frames into tiles. Calls come from one thread at a time.

    Parameters
    ----------
    stack : FrameStack
    """

    def __init__(self, stack: FrameStack) -> None:
        self._stack = stack
        height, width = stack.frame_size
        #: How many levels there are; on the last one the whole frame is one tile.
        self.level_count = 1 + max(0, math.ceil(math.log2(max(height, width) / TILE_SIZE)))
        self._kept: OrderedDict[TilePlace, NDArray[Any]] = OrderedDict()
        self._kept_bytes = 0

    def tile(self, place: TilePlace, limits: Limits, codec: Codec) -> tuple[dict[str, Any], bytes]:
        """Read a tile.

        Parameters
        ----------
        place : TilePlace
        limits : tuple of (float, float)
            For each channel the intensities that become 0 and 255.
        codec : {"jpeg", "deflate"}

        Returns
        -------
        (dict, bytes)
            What it is, and its pixels: uint8, channels beside each other.

        Raises
        ------
        InvalidInputError
            There is no such tile or codec, the limits are none, or the frame cannot be read.
        """
        if codec not in get_args(Codec):
            raise InvalidInputError(f"A tile is packed as {' or '.join(get_args(Codec))}; got {codec!r}.")
        if len(limits) != self._stack.channel_count:
            raise InvalidInputError(
                f"Limits are needed for each of {self._stack.channel_count} channels; got {len(limits)}."
            )
        contrast = ContrastLimits(tuple(low for low, _ in limits), tuple(high for _, high in limits))
        shown = contrast.apply(self._reduced(place, exact=codec == "deflate"))
        height, width, channels = shown.shape
        about = {
            "frame": place.frame,
            "level": place.level,
            "column": place.column,
            "row": place.row,
            "width": width,
            "height": height,
            "channels": channels,
            "limits": [list(pair) for pair in limits],
            "codec": codec,
        }
        return about, jpeg(shown) if codec == "jpeg" else zlib.compress(shown.tobytes(), 1)

    def _reduced(self, place: TilePlace, *, exact: bool) -> NDArray[Any]:
        """The raw pixels of a tile; not exact: every 2^n-th pixel rather than the mean of so many."""
        rows, columns = self._window(place)
        if place.level == 0:
            return self._stack.read_raw_window(place.frame, rows, columns)
        if place in self._kept:
            self._kept.move_to_end(place)
            return self._kept[place]
        factor = 2**place.level
        step = max(BLOCK, factor)
        if not exact and rows.stop - rows.start <= step and columns.stop - columns.start <= step:
            return self._stack.read_raw_window(place.frame, rows, columns)[::factor, ::factor]
        strips = []
        for top in range(rows.start, rows.stop, step):
            part_rows = slice(top, min(top + step, rows.stop))
            parts = [
                block_means(
                    self._stack.read_raw_window(place.frame, part_rows, slice(left, min(left + step, columns.stop))),
                    factor,
                )
                for left in range(columns.start, columns.stop, step)
            ]
            strips.append(np.concatenate(parts, axis=1))
        reduced = np.concatenate(strips, axis=0)
        self._keep(place, reduced)
        return reduced

    def _keep(self, place: TilePlace, pixels: NDArray[Any]) -> None:
        self._kept[place] = pixels
        self._kept_bytes += pixels.nbytes
        while self._kept_bytes > KEPT_BYTES and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._kept_bytes -= oldest.nbytes

    def _window(self, place: TilePlace) -> tuple[slice, slice]:
        if not 0 <= place.level < self.level_count:
            raise InvalidInputError(f"There are levels 0 to {self.level_count - 1}; got {place.level}.")
        step = TILE_SIZE * 2**place.level
        height, width = self._stack.frame_size
        rows = slice(place.row * step, min((place.row + 1) * step, height))
        columns = slice(place.column * step, min((place.column + 1) * step, width))
        if min(place.row, place.column) < 0 or rows.stop <= rows.start or columns.stop <= columns.start:
            raise InvalidInputError(
                f"Level {place.level} has {math.ceil(width / step)} by {math.ceil(height / step)} tiles; there is no "
                f"tile in column {place.column}, row {place.row}."
            )
        return rows, columns


def block_means(pixels: NDArray[Any], factor: int) -> NDArray[Any]:
    """Means over blocks of `factor` by `factor` pixels, those at the lower and right edge of what is there.

    Parameters
    ----------
    pixels : ndarray (y, x, channel)
    factor : int
    """
    height, width, _ = pixels.shape
    down, across = -height % factor, -width % factor
    padded = np.pad(pixels, ((0, down), (0, across), (0, 0)), mode="edge") if down or across else pixels
    wide = np.float64 if pixels.dtype.kind == "f" or pixels.dtype.itemsize > 2 else np.uint32
    blocks = padded.reshape(padded.shape[0] // factor, factor, padded.shape[1] // factor, factor, -1)
    sums = blocks.sum(axis=1, dtype=wide).sum(axis=2, dtype=wide)
    means: NDArray[Any] = sums.astype(np.float32) / np.float32(factor * factor)
    return means


def display_limits(stack: FrameStack) -> Limits:
    """The limits a stack is shown with at first, those the model sees: one pair for each channel."""
    known = stack.contrast_limits
    if known is None:
        pair = (0.0, 1.0) if stack.dtype == np.bool_ else (0.0, 255.0)
        return (pair,) * stack.channel_count
    pairs = tuple(zip(known.low, known.high, strict=True))
    return pairs if len(pairs) == stack.channel_count else pairs * stack.channel_count


def display_range(stack: FrameStack, limits: tuple[float, float]) -> tuple[float, float]:
    """How far limits can be moved: three times as wide as at first, as far as the dtype goes."""
    low, high = limits
    spread = high - low
    if stack.dtype.kind == "b":
        return 0.0, 1.0
    if stack.dtype.kind in "ui":
        info = np.iinfo(stack.dtype.name)
        return max(float(info.min), low - spread), min(float(info.max), high + spread)
    return low - spread, high + spread


def checked_limits(value: object) -> Limits:
    """Read limits from a request: a list of [low, high], one for each channel.

    Raises
    ------
    InvalidTypeError
        They are none.
    """
    if not isinstance(value, Sequence):
        raise InvalidTypeError(f"limits must be a list of [low, high], one for each channel; got {value!r:.100}.")
    try:
        return tuple((float(low), float(high)) for low, high in value)
    except (TypeError, ValueError):
        raise InvalidTypeError(
            f"limits must be a list of [low, high], one for each channel; got {value!r:.100}."
        ) from None


def jpeg(shown: NDArray[np.uint8]) -> bytes:
    """Pack a picture (y, x, channel) uint8, of one channel to three, as a JPEG file."""
    channels = shown.shape[2]
    if channels == 1:
        picture = Image.fromarray(shown[:, :, 0])
    else:
        padded = np.zeros((*shown.shape[:2], 3), np.uint8)
        padded[:, :, :channels] = shown
        picture = Image.fromarray(padded)
    buffer = io.BytesIO()
    # channels are stains more often than colours: none is stored at half its resolution
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()
