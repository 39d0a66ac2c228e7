"""FrameStack: the frames along one axis, as the model wants them, read one at a time."""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.closing import Closing
from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.volumes.contrast import Contrast, ContrastLimits

if TYPE_CHECKING:
    from sam2_core.volumes.frame_grid import FrameGrid
    from sam2_core.volumes.volume import Volume


class FrameStack(Closing):
    """The frames of an image, a video, a time-lapse or a z-stack, read lazily.

    A picture is a stack of one frame. Frames are read when asked for and few of them are kept, so a stack may be far
    larger than memory. What the model sees (contrast) is fixed for the whole stack; what a display shows is the
    display's own business.

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
        What the frames are counted along: "z", "t", "y", "x", or "frame" where the source does not say; two letters
        with `grid`.
    colour : bool
        Whether three channels are the colours of one picture, which share their contrast limits, rather than stains.
    contrast : None, "auto", (float, float), sequence of such pairs, or ContrastLimits
        ``None`` passes uint8 on as it is and scales other dtypes by percentiles 1 and 99.8 of a bounded sample;
        "auto" does so for uint8 too; a pair gives the intensities for black and white, several pairs those of each
        channel. ``stack.contrast_limits`` of an earlier run may be passed as it is.
    spacing : (float, float, float)
        Physical size of one step along (frame, y, x), rows and columns of the frame; 1.0 where it is not known.
    spacing_unit : str, optional
        Unit of the rows and columns ("micrometer"); ``None`` where it is not known.
    address : str, optional
        Path or URL of the source.
    volume : Volume, optional
        What the frames are planes of.
    grid : FrameGrid, optional
        How frames along two axes are numbered.
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
        spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
        spacing_unit: str | None = None,
        address: str | None = None,
        volume: Volume | None = None,
        grid: FrameGrid | None = None,
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
        self.spacing = spacing
        self.spacing_unit = spacing_unit
        self.address = address
        self.volume = volume
        self.grid = grid
        self._length = length
        self._contrast = _checked_contrast(contrast, channel_count)

    @abstractmethod
    def _read_raw(self, index: int) -> NDArray[Any]:
        """Read frame `index` (known to exist): (y, x, channel), raw dtype."""

    @property
    def fixed(self) -> dict[str, int]:
        """Where the frames lie on the axes of their volume that they are not counted along, such as ``{"t": 3}``."""
        return {}

    def source_file(self, index: int) -> tuple[Path, str] | None:
        """Name the one local file that a frame's pixels depend on, where there is one.

        The embedding store remembers by it what a frame was, and need not read it again while the file's time and size
        stay the same. Where that does not tell whether pixels changed (arrays, zarr, addresses), there is none.

        Returns
        -------
        (Path, str) or None
            The file, and all that says which of its pixels the frame shows (axis, positions, channels, level).
        """
        return None

    def close(self) -> None:
        """Let go of open files. Reading afterwards is an error for sources that hold a file open."""

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return (self.read(index) for index in range(len(self)))

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
        return self._shown(self.read_raw(index))

    def read_window(self, index: int, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Read part of one frame as the model sees it.

        Parameters
        ----------
        index : int
            Frame number, 0 to ``len(stack) - 1``.
        rows, columns : slice
            Within the frame, without steps.

        Returns
        -------
        ndarray, (y, x, 3), uint8, RGB
            ``read(index)[rows, columns]``; sources that are stored in chunks read only those they need.

        Raises
        ------
        InvalidInputError
            As for :meth:`read`; or an empty window, or one that reaches beyond the frame.
        """
        return self._shown(self.read_raw_window(index, rows, columns))

    def read_raw(self, index: int) -> NDArray[Any]:
        """Read one frame with its own intensities.

        Returns
        -------
        ndarray, (y, x, channel), the stack's dtype
            Alpha dropped, palettes resolved, finite.
        """
        number = self._checked_index(index)
        return self._checked_frame(number, self._read_raw(number), (*self.frame_size, self.channel_count))

    def read_raw_window(self, index: int, rows: slice, columns: slice) -> NDArray[Any]:
        """Read part of one frame with its own intensities; arguments and errors as for :meth:`read_window`.

        Returns
        -------
        ndarray, (y, x, channel), the stack's dtype
            ``read_raw(index)[rows, columns]``.
        """
        number = self._checked_index(index)
        rows, columns = (
            self._checked_range(part, size, word)
            for part, size, word in zip((rows, columns), self.frame_size, ("rows", "columns"), strict=True)
        )
        window = self._read_raw_window(number, rows, columns)
        expected = (rows.stop - rows.start, columns.stop - columns.start, self.channel_count)
        return self._checked_frame(number, window, expected)

    def scaled_to(self, frame_size: tuple[int, int]) -> FrameStack | None:
        """Open the same frames scaled to (height, width) by their own decoder; None for sources that cannot scale."""
        return None

    def _read_raw_window(self, index: int, rows: slice, columns: slice) -> NDArray[Any]:
        """Read part of a frame; the whole frame, where the source knows no better."""
        return self.read_raw(index)[rows, columns]

    def _shown(self, raw: NDArray[Any]) -> NDArray[np.uint8]:
        limits = self.contrast_limits
        if limits is not None:
            shown = limits.apply(raw)
        elif raw.dtype == np.bool_:
            shown = raw.astype(np.uint8) * np.uint8(255)
        else:
            shown = raw.astype(np.uint8, copy=False)
        return _as_rgb(shown)

    def _checked_frame(self, index: int, frame: NDArray[Any], expected: tuple[int, int, int]) -> NDArray[Any]:
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

        Percentiles are taken once, from a bounded sample drawn with a fixed seed (see
        :func:`~sam2_core.volumes.contrast_sample.sample_pixels`), so that the same stack always gets the same limits
        and none is read whole. ``limits.as_dict()`` stores them; a stack opened with them needs no sample.
        """
        if isinstance(self._contrast, ContrastLimits):
            return self._contrast
        if self._contrast is None and self.dtype in (np.uint8, np.bool_):
            return None
        if self.dtype == np.bool_:
            return None
        return ContrastLimits.from_sample(self._sample(), per_channel=self.channel_count > 1 and not self.colour)

    def use_contrast(self, contrast: Contrast) -> None:
        """Show the frames with other limits from now on, such as those stored of an earlier run.

        Parameters
        ----------
        contrast : None, "auto", (float, float), sequence of such pairs, or ContrastLimits
            As for the class.

        Raises
        ------
        InvalidInputError
            None of these, or limits for another number of channels.
        """
        self._contrast = _checked_contrast(contrast, self.channel_count)
        self.__dict__.pop("contrast_limits", None)

    def _sample(self) -> NDArray[Any]:
        """Pixels (pixel, channel) from which the contrast limits are taken."""
        raise InvalidInputError(f"{self.name} ({type(self).__name__}) takes no sample of its pixels; pass contrast=.")

    def _checked_range(self, part: slice, size: int, word: str) -> slice:
        start, stop, step = part.indices(size)
        beyond = (part.start is not None and part.start < 0) or (part.stop is not None and part.stop > size)
        if step != 1 or stop <= start or beyond:
            raise InvalidInputError(
                f"A window of {self.name} needs {word} within 0 to {size}, at least one and without steps; got {part}."
            )
        return slice(start, stop)

    def _checked_index(self, index: int) -> int:
        try:
            checked = operator.index(index)
        except TypeError:
            raise InvalidTypeError(f"A frame number must be an integer; got {index!r}.") from None
        if not 0 <= checked < len(self):
            raise InvalidInputError(f"{self.name} has frames 0 to {len(self) - 1}; there is no frame {checked}.")
        return checked


def _checked_contrast(contrast: object, channel_count: int) -> ContrastLimits | str | None:
    if contrast is None or contrast == "auto":
        return contrast
    limits = contrast if isinstance(contrast, ContrastLimits) else _given_limits(contrast)
    if limits is None:
        raise InvalidInputError(
            f'contrast must be None, "auto", a pair (low, high), a pair for each channel, or ContrastLimits; '
            f"got {contrast!r}."
        )
    if len(limits.low) not in (1, channel_count):
        raise InvalidInputError(
            f"contrast has limits for {len(limits.low)} channels, but {channel_count} are shown. Give one pair for "
            "all, or one for each."
        )
    return limits


def _given_limits(contrast: object) -> ContrastLimits | None:
    """Limits from a pair, or from a pair for each channel; None from anything else."""
    if not isinstance(contrast, tuple | list) or not contrast:
        return None
    pairs = contrast if all(isinstance(one, tuple | list) for one in contrast) else [contrast]
    if any(len(pair) != 2 for pair in pairs):
        return None
    try:
        return ContrastLimits(tuple(float(low) for low, _ in pairs), tuple(float(high) for _, high in pairs))
    except (TypeError, ValueError) as error:
        if isinstance(error, InvalidInputError):
            raise
        return None


def _as_rgb(shown: NDArray[np.uint8]) -> NDArray[np.uint8]:
    channel_count = shown.shape[2]
    if channel_count == 3:
        return np.ascontiguousarray(shown)
    if channel_count == 1:
        # no copy: the model's side sees that it is one channel, and resizes it once
        return np.broadcast_to(shown, (*shown.shape[:2], 3))
    rgb = np.zeros((*shown.shape[:2], 3), dtype=np.uint8)
    rgb[:, :, :channel_count] = shown
    return rgb
