"""FrameStack: the frames along one axis, as the model wants them, read one at a time."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.volumes.contrast import Contrast, ContrastLimits

SAMPLE_FRAMES = 16
SAMPLE_PIXELS = 1_000_000
SAMPLE_SEED = 20241


class FrameStack(ABC):
    """The frames of an image, a video, a time-lapse or a z-stack, read lazily.

    A picture is a stack of one frame. Frames are read when asked for and are not kept (video keeps a bounded number of
    decoded ones), so a stack may be far larger than memory.

    Parameters
    ----------
    name : str
        What messages call this stack, such as its file name.
    length : int
        Number of frames.
    frame_size : tuple of int
        (height, width) of every frame in pixels.
    channel_count : int
        1 (grey), 2 (shown as red and green) or 3 (shown as red, green, blue).
    dtype : numpy.dtype
        Dtype of the raw intensities.
    axis : str
        What the frames are counted along: "z", "t", or "frame" where the source does not say.
    colour : bool
        Whether three channels are the colours of one picture, which share their contrast limits, rather than stains.
    contrast : None, "auto" or (float, float)
        ``None`` passes uint8 on as it is and scales other dtypes by percentiles 1 and 99.8 of a bounded sample;
        "auto" does so for uint8 too; a pair gives the intensities for black and white.
    """

    def __init__(
        self,
        *,
        name: str,
        length: int,
        frame_size: tuple[int, int],
        channel_count: int,
        dtype: np.dtype[np.generic],
        axis: str,
        colour: bool,
        contrast: Contrast,
    ) -> None:
        if length < 1 or min(frame_size) < 1:
            raise InvalidInputError(
                f"{name} is empty: {length} frames of height x width {frame_size[0]} x {frame_size[1]}. "
                "At least one frame of at least one pixel is needed."
            )
        if channel_count not in (1, 2, 3):
            raise InvalidInputError(
                f"{name} has {channel_count} channels; at most three can be mixed to the colours the model sees. "
                "Choose up to three with channels=(0, 1, …) (on the command line: --channels 0,1)."
            )
        if dtype.kind not in "buif":
            raise InvalidTypeError(
                f"{name} holds {dtype} values; expected intensities: bool, integer or floating point. "
                "Convert it first (for complex data take the magnitude)."
            )
        self.name = name
        self.frame_size = frame_size
        self.channel_count = channel_count
        self.dtype = dtype
        self.axis = axis
        self.colour = colour
        self._length = length
        self._contrast = _checked_contrast(contrast)

    @abstractmethod
    def _read_raw(self, index: int) -> NDArray[Any]:
        """Read frame `index` (known to exist): (y, x, channel), raw dtype."""

    def close(self) -> None:  # noqa: B027  most sources hold nothing open
        """Let go of open files. Reading afterwards is an error for sources that hold a file open."""

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return (self.read(index) for index in range(len(self)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        height, width = self.frame_size
        return (
            f"<{type(self).__name__} {self.name!r}: {len(self)} frames along {self.axis}, "
            f"{height} x {width} (height x width), {self.channel_count} channel(s), {self.dtype}>"
        )

    def read(self, index: int) -> NDArray[np.uint8]:
        """Read one frame as the model sees it.

        Parameters
        ----------
        index : int
            Frame number, 0 to ``len(stack) - 1``.

        Returns
        -------
        ndarray, (y, x, 3), uint8, RGB
            A fresh or read-only-shared array; copy it before writing into it.

        Raises
        ------
        InvalidInputError
            No such frame, a frame that cannot be decoded, whose size differs from the others, or that holds NaN.
        """
        raw = self.read_raw(index)
        limits = self.contrast_limits
        if limits is not None:
            shown = limits.apply(raw)
        elif raw.dtype == np.bool_:
            shown = raw.astype(np.uint8) * np.uint8(255)
        else:
            shown = raw.astype(np.uint8, copy=False)
        return _as_rgb(shown)

    def read_window(self, index: int, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Read part of one frame as the model sees it.

        Parameters
        ----------
        index : int
            Frame number, 0 to ``len(stack) - 1``.
        rows, columns : slice
            Within the frame.

        Returns
        -------
        ndarray, (y, x, 3), uint8, RGB
            ``read(index)[rows, columns]``; sources that are stored in chunks read only those they need.
        """
        return np.ascontiguousarray(self.read(index)[rows, columns])

    def read_raw(self, index: int) -> NDArray[Any]:
        """Read one frame with its own intensities.

        Returns
        -------
        ndarray, (y, x, channel), the stack's dtype
            Alpha dropped, palettes resolved, finite.
        """
        frame = self._read_raw(self._checked_index(index))
        expected = (*self.frame_size, self.channel_count)
        if frame.shape != expected:
            raise InvalidInputError(
                f"Frame {index} of {self.name} has (height, width, channels) {frame.shape}, the first frame "
                f"{expected}. All frames of a stack must have one size; crop or pad them first."
            )
        if frame.dtype.kind == "f" and not np.isfinite(frame).all():
            raise InvalidInputError(
                f"Frame {index} of {self.name} holds NaN or infinite values. Replace them first, for instance with "
                "numpy.nan_to_num."
            )
        return frame

    @cached_property
    def contrast_limits(self) -> ContrastLimits | None:
        """Limits used for every frame; ``None`` where intensities are passed on as they are.

        Percentiles are taken once, from at most 16 frames spread over the stack and a million of their values drawn
        with a fixed seed, so that the same stack always gets the same limits and none is read whole.
        """
        if isinstance(self._contrast, ContrastLimits):
            return self._contrast
        if self._contrast is None and self.dtype in (np.uint8, np.bool_):
            return None
        if self.dtype == np.bool_:
            return None
        return ContrastLimits.from_sample(self._sample(), per_channel=self.channel_count > 1 and not self.colour)

    def _sample(self) -> NDArray[Any]:
        generator = np.random.default_rng(SAMPLE_SEED)
        frame_count = min(len(self), SAMPLE_FRAMES)
        indices = np.unique(np.linspace(0, len(self) - 1, frame_count).round().astype(int))
        pixels_per_frame = max(1, SAMPLE_PIXELS // (len(indices) * self.channel_count))
        parts = []
        for index in indices:
            pixels = self.read_raw(int(index)).reshape(-1, self.channel_count)
            if len(pixels) > pixels_per_frame:
                pixels = pixels[generator.integers(0, len(pixels), pixels_per_frame)]
            parts.append(pixels)
        return np.concatenate(parts)

    def _checked_index(self, index: int) -> int:
        try:
            checked = operator.index(index)
        except TypeError:
            raise InvalidTypeError(f"A frame number must be an integer; got {index!r}.") from None
        if not 0 <= checked < len(self):
            raise InvalidInputError(f"{self.name} has frames 0 to {len(self) - 1}; there is no frame {checked}.")
        return checked


def _checked_contrast(contrast: object) -> ContrastLimits | str | None:
    if contrast is None or contrast == "auto":
        return contrast
    if isinstance(contrast, tuple | list) and len(contrast) == 2:
        try:
            low, high = (float(value) for value in contrast)
        except (TypeError, ValueError):
            pass
        else:
            return ContrastLimits((low,), (high,))
    raise InvalidInputError(f'contrast must be None, "auto" or a pair (low, high); got {contrast!r}.')


def _as_rgb(shown: NDArray[np.uint8]) -> NDArray[np.uint8]:
    channel_count = shown.shape[2]
    if channel_count == 3:
        return np.ascontiguousarray(shown)
    if channel_count == 1:
        return np.repeat(shown, 3, axis=2)
    rgb = np.zeros((*shown.shape[:2], 3), dtype=np.uint8)
    rgb[:, :, :channel_count] = shown
    return rgb
