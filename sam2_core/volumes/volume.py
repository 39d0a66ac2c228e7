"""Volume: an image of any number of named axes, read region by region."""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.closing import Closing
from sam2_core.errors import InvalidInputError, InvalidTypeError, Sam2Error
from sam2_core.volumes.axes import AXES
from sam2_core.volumes.contrast import Contrast
from sam2_core.volumes.units import unit_name

if TYPE_CHECKING:
    from sam2_core.volumes.frame_stack import FrameStack
    from sam2_core.volumes.volume_frames import VolumeFrames

READ_BUDGET_BYTES = 120 * 2**20
"""Raw pixels that a stack keeps in memory at most, of what it has read."""


COLOURS = ("red", "green", "blue")


class Volume(Closing):
    """An image with named axes, which may be far larger than memory: only what is asked for is read.

    Parameters
    ----------
    name : str
        What messages call it, such as its file name.
    axes : str
        Letters of "tczyx" in that order, "y" and "x" among them.
    shape : tuple of int
        Size of each axis.
    dtype : numpy.dtype
        Dtype of the intensities, in native byte order.
    chunks : tuple of int, optional
        What is read and decoded at once along each axis. One plane (y, x) by default.
    scale : mapping of str to float, optional
        Physical size of one step along an axis, where known.
    units : mapping of str to str, optional
        Unit of that size ("micrometer", "second"), where known.
    channel_names : sequence of str, optional
        Numbers, or red, green, blue for the colours of a picture, by default.
    address : str, optional
        Path or URL it was opened from.
    levels, level : int
        How many resolution levels the source has, and which of them this is.
    colour : bool
        Whether the channels are the colours of one picture (red, green, blue) rather than stains.
    guessed_axis : str
        An axis whose meaning the source does not say ("" where it says all): the frames of a folder may be t or z.
    in_memory : bool
        Whether the pixels are in memory already, so that keeping read pieces is of no use.
    """

    def __init__(
        self,
        *,
        name: str,
        axes: str,
        shape: Sequence[int],
        dtype: np.dtype[Any],
        chunks: Sequence[int] | None = None,
        scale: Mapping[str, float] | None = None,
        units: Mapping[str, str] | None = None,
        channel_names: Sequence[str] | None = None,
        address: str | None = None,
        levels: int = 1,
        level: int = 0,
        colour: bool = False,
        guessed_axis: str = "",
        in_memory: bool = False,
    ) -> None:
        shape = tuple(int(size) for size in shape)
        if min(shape, default=0) < 1:
            sizes = ", ".join(f"{axis} {size}" for axis, size in zip(axes, shape, strict=True))
            raise InvalidInputError(f"{name} is empty: {sizes}. At least one frame of at least one pixel is needed.")
        dtype = np.dtype(dtype)
        if dtype.kind not in "buif":
            raise InvalidTypeError(
                f"{name} holds {dtype} values; expected intensities: bool, integer or floating point. "
                "Convert it first (for complex data take the magnitude)."
            )
        self.name = name
        self.axes = axes
        self.shape = shape
        self.dtype = dtype.newbyteorder("=")
        default = tuple(size if axis in "yx" else 1 for axis, size in zip(axes, shape, strict=True))
        self.chunks = tuple(max(1, min(chunk, size)) for chunk, size in zip(chunks or default, shape, strict=True))
        spaced = axes.replace("c", "")  # channels lie nowhere
        self.scale = {axis: float(step) for axis, step in (scale or {}).items() if axis in spaced and step > 0}
        named = {axis: unit_name(unit) for axis, unit in (units or {}).items()}
        self.units = {axis: unit for axis, unit in named.items() if unit is not None and axis in axes}
        count = self.sizes.get("c", 1)
        names = tuple(str(one) for one in channel_names or (COLOURS if colour else ()))
        # a list that does not fit the channels names none of them
        self.channel_names = names if len(names) == count else tuple(str(number) for number in range(count))
        self.address = address
        self.levels = levels
        self.level = level
        self.colour = colour
        self.guessed_axis = guessed_axis
        self.in_memory = in_memory

    @property
    def sizes(self) -> dict[str, int]:
        """Size of each axis by its letter."""
        return dict(zip(self.axes, self.shape, strict=True))

    @abstractmethod
    def _read_region(self, region: tuple[slice, ...]) -> NDArray[Any]:
        """Read a region (one slice with start < stop for each axis): all axes kept, any byte order."""

    def close(self) -> None:
        """Let go of open files. Reading afterwards is an error for sources that hold a file open."""

    def refuse_missing(self) -> None:
        """From now on a piece that is missing is an error, where the format would have it read as a fill value."""

    def __repr__(self) -> str:
        sizes = ", ".join(f"{axis} {size}" for axis, size in self.sizes.items())
        return f"<{type(self).__name__} {self.name!r}: {sizes}, {self.dtype}>"

    def read(self, index: Mapping[str, int | slice] | None = None) -> NDArray[Any]:
        """Read a region.

        Parameters
        ----------
        index : mapping of str to int or slice, optional
            Position or range on each axis, such as ``{"t": 3, "y": slice(0, 512)}``; all of an axis that is not named.

        Returns
        -------
        ndarray
            Axes in the order of ``volume.axes``, without those given as a position; native byte order. It may share
            memory with the source: copy it before writing into it.

        Raises
        ------
        InvalidInputError
            No such axis, a position outside it, or pixels that cannot be read.
        """
        wanted = dict(index or {})
        self._require_axes(wanted)
        region: list[slice] = []
        steps: list[slice | int] = []
        for axis, size in self.sizes.items():
            one = wanted.get(axis, slice(None))
            if isinstance(one, slice):
                start, stop, step = one.indices(size)
                if step < 1:
                    raise InvalidInputError(f"Ranges are read forward; got a step of {step} on axis {axis}.")
                region.append(slice(start, max(start, stop)))
                steps.append(slice(None, None, step))
            else:
                position = self.checked_position(axis, one)
                region.append(slice(position, position + 1))
                steps.append(0)
        pixels = self.read_region(tuple(region))
        return pixels[tuple(steps)]

    def read_region(self, region: tuple[slice, ...]) -> NDArray[Any]:
        """Read a region, every axis of it.

        Parameters
        ----------
        region : tuple of slice
            For each axis of ``volume.axes`` its first position and the one after its last, within the axis.

        Returns
        -------
        ndarray
            Axes as in ``volume.axes``, none dropped; native byte order.

        Raises
        ------
        InvalidInputError
            Pixels that cannot be read.
        """
        lengths = tuple(part.stop - part.start for part in region)
        if min(lengths) < 1:
            return np.zeros(lengths, dtype=self.dtype)
        try:
            pixels = self._read_region(region)
        except (Sam2Error, MemoryError):
            raise
        except Exception as error:  # codecs, disks and networks fail in ways of their own
            raise InvalidInputError(
                f"{self.name} cannot be read at {self._described(region)} ({type(error).__name__}: {error}). "
                "The file is damaged or cannot be reached; copy or download it again."
            ) from error
        if pixels.shape != lengths:
            raise InvalidInputError(
                f"{self.name} has {pixels.shape} values at {self._described(region)}; expected {lengths}. The file is "
                "damaged, or has changed since it was opened."
            )
        return pixels.astype(self.dtype, copy=False)

    def stack(
        self,
        along: str | None = None,
        at: Mapping[str, int] | None = None,
        plane: str = "yx",
        channels: Sequence[int | str] | None = None,
        contrast: Contrast = None,
        *,
        budget_bytes: int = READ_BUDGET_BYTES,
    ) -> FrameStack:
        """Frames along one axis, as the model wants them.

        Parameters
        ----------
        along : str, optional
            Axis along which frames are counted. Needed only where several are longer than one. Two axes, such as "tz",
            make one stack of all their frames, the second axis running fastest; ``stack.grid`` says which is where.
        at : mapping of str to int, optional
            Position on each other axis that is longer than one, such as ``{"t": 3}``.
        plane : str, default "yx"
            Rows and columns of a frame: "yx", "zx", "zy", or any other two axes.
        channels : sequence of int or str, optional
            Up to three, by number or name, shown as red, green, blue. All by default.
        contrast : None, "auto", (float, float) or ContrastLimits
            See :class:`~sam2_core.volumes.frame_stack.FrameStack`.
        budget_bytes : int
            Raw pixels kept in memory at most.

        Returns
        -------
        FrameStack
            Closing it closes the volume's files too.

        Raises
        ------
        InvalidInputError
            No such axis or channel, an axis that has to be chosen, or a position outside the volume.

        Examples
        --------
        >>> import numpy as np
        >>> from sam2_core import open_volume
        >>> volume = open_volume(np.zeros((2, 30, 64, 64), np.uint8), axes="tzyx", scale={"z": 2.0})
        >>> volume.stack(along="z", at={"t": 1}).spacing
        (2.0, 1.0, 1.0)
        >>> volume.stack(along="y", at={"t": 1}, plane="zx").frame_size
        (30, 64)
        >>> volume.stack(along="tz").grid.position(31)
        {'t': 1, 'z': 1}
        """
        if isinstance(along, str) and len(along) == 2:
            from sam2_core.volumes.grid_frames import GridFrames

            return GridFrames(
                self, along=along, at=at, plane=plane, channels=channels, contrast=contrast, budget_bytes=budget_bytes
            )
        return self._frames(along, at, plane, channels, contrast, budget_bytes)

    def _frames(
        self,
        along: str | None,
        at: Mapping[str, int] | None,
        plane: str,
        channels: Sequence[int | str] | None,
        contrast: Contrast,
        budget_bytes: int = READ_BUDGET_BYTES,
    ) -> VolumeFrames:
        from sam2_core.volumes.volume_frames import VolumeFrames

        return VolumeFrames(
            self, along=along, at=at, plane=plane, channels=channels, contrast=contrast, budget_bytes=budget_bytes
        )

    def source_file(self, axis: str, position: int) -> tuple[Path, str] | None:
        """Name the one local file that the pixels at a position of an axis come from; see FrameStack.source_file.

        Parameters
        ----------
        axis : str
            Letter of the axis; "" for a single picture.
        position : int
            On that axis.

        Returns
        -------
        (Path, str) or None
            The file, and what says which of its pixels this volume shows (level, series, axes, channels).
        """
        return None

    def source_files(self) -> tuple[Path, ...]:
        """Name the local files by whose size and time one sees whether the source is still the same.

        Nothing that is written beside them, or into the same folder or store, changes them.

        Returns
        -------
        tuple of Path
            None for arrays in memory, URLs, and folders of which only their reader knows what belongs to them.
        """
        if self.address is None or not Path(self.address).is_file():
            return ()
        return (Path(self.address),)

    def scaled_to(self, frame_size: tuple[int, int]) -> Volume | None:
        """Open the same source with planes scaled by its decoder.

        Parameters
        ----------
        frame_size : (int, int)
            Height and width.

        Returns
        -------
        Volume or None
            None for sources that cannot scale, which is all but videos.
        """
        return None

    def channel_numbers(self, channels: Sequence[int | str] | None) -> tuple[int, ...]:
        """Find channels given by number or name.

        Parameters
        ----------
        channels : sequence of int or str, or None
            None means all of them.

        Returns
        -------
        tuple of int
            Their numbers.

        Raises
        ------
        InvalidInputError, InvalidTypeError
            None given, no such channel, or neither a number nor a name.
        """
        count = self.sizes.get("c", 1)
        if channels is None:
            return tuple(range(count))
        numbers = []
        try:
            given = (channels,) if isinstance(channels, int | str) else tuple(channels)
            for channel in given:
                if isinstance(channel, str):
                    number = self.channel_names.index(channel) if channel in self.channel_names else -1
                else:
                    number = operator.index(channel)
                numbers.append(number)
        except TypeError:
            raise InvalidTypeError(
                f'channels must be whole numbers or names, such as [0, 2] or ["nuclei"]; got {channels!r}.'
            ) from None
        if not numbers or not all(0 <= number < count for number in numbers):
            names = "" if self.channel_names[0] == "0" else f" ({', '.join(self.channel_names)})"
            raise InvalidInputError(
                f"{self.name} has channels 0 to {count - 1}{names}; got channels={given}. Name one to three of them."
            )
        return tuple(numbers)

    def checked_position(self, axis: str, position: int) -> int:
        """Check a position on an axis.

        Parameters
        ----------
        axis : str
            Letter of the axis.
        position : int
            Counted from 0.

        Returns
        -------
        int
            The position, as Python's own integer.

        Raises
        ------
        InvalidInputError, InvalidTypeError
            Outside the axis, or no integer.
        """
        size = self.sizes[axis]
        try:
            checked = operator.index(position)
        except TypeError:
            raise InvalidTypeError(f"A position on axis {axis} must be an integer; got {position!r}.") from None
        if not 0 <= checked < size:
            raise InvalidInputError(f"Axis {axis} of {self.name} has positions 0 to {size - 1}; got {checked}.")
        return checked

    def _require_axes(self, letters: Mapping[str, object]) -> None:
        for letter in letters:
            if letter not in self.axes:
                raise InvalidInputError(f"{self.name} has axes {', '.join(self.axes)}; there is no axis {letter!r}.")

    def _described(self, region: tuple[slice, ...]) -> str:
        return ", ".join(
            f"{axis} {part.start}" + (f" to {part.stop - 1}" if part.stop - part.start > 1 else "")
            for axis, part, size in zip(self.axes, region, self.shape, strict=True)
            if size > 1
        )


def read_channels(volume: Volume, region: tuple[slice, ...], channels: Sequence[int]) -> NDArray[Any]:
    """Read some channels of a region, each chunk of channels once.

    Parameters
    ----------
    volume : Volume
    region : tuple of slice
        One for each axis; what it says of the channel axis is not looked at.
    channels : sequence of int
        Numbers of the channels, in the order wanted.

    Returns
    -------
    ndarray
        Axes as in ``volume.axes``.
    """
    if "c" not in volume.axes:
        return volume.read_region(region)
    place = volume.axes.index("c")

    def read(first: int, stop: int) -> NDArray[Any]:
        return volume.read_region((*region[:place], slice(first, stop), *region[place + 1 :]))

    if list(channels) == list(range(channels[0], channels[0] + len(channels))):
        return read(channels[0], channels[-1] + 1)
    chunk = volume.chunks[place]
    by_chunk: dict[int, list[int]] = {}
    for channel in channels:
        by_chunk.setdefault(channel // chunk, []).append(channel)
    planes: dict[int, NDArray[Any]] = {}
    for together in by_chunk.values():
        first = min(together)
        part = read(first, max(together) + 1)
        for channel in together:
            planes[channel] = part[(slice(None),) * place + (slice(channel - first, channel - first + 1),)]
    return np.concatenate([planes[channel] for channel in channels], axis=place)


def in_volume_order(stored_axes: str) -> tuple[str, list[int]]:
    """Axes of a source in the order t, c, z, y, x, and the transposition that brings them there."""
    axes = "".join(sorted(stored_axes, key=AXES.index))
    return axes, [stored_axes.index(axis) for axis in axes]
