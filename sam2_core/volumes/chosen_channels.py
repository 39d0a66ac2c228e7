"""ChosenChannels: some channels of another volume, as a volume of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sam2_core.volumes.volume import Volume, read_channels


class ChosenChannels(Volume):
    """Some channels of another volume, in the order given.

    Parameters
    ----------
    whole : Volume
        With a channel axis. Closing the choice closes it.
    channels : sequence of int or str
        Numbers or names.
    """

    def __init__(self, whole: Volume, channels: Sequence[int | str]) -> None:
        self._whole = whole
        self._numbers = whole.channel_numbers(channels)
        place = whole.axes.index("c")
        super().__init__(
            name=whole.name,
            axes=whole.axes,
            shape=[len(self._numbers) if axis == "c" else size for axis, size in whole.sizes.items()],
            dtype=whole.dtype,
            chunks=[1 if number == place else chunk for number, chunk in enumerate(whole.chunks)],
            scale=whole.scale,
            units=whole.units,
            channel_names=[whole.channel_names[number] for number in self._numbers],
            address=whole.address,
            levels=whole.levels,
            level=whole.level,
            guessed_axis=whole.guessed_axis,
            in_memory=whole.in_memory,
        )
        self._place = place

    def close(self) -> None:
        """Close the whole volume."""
        self._whole.close()

    def refuse_missing(self) -> None:
        """Pass it on to the whole volume."""
        self._whole.refuse_missing()

    def source_file(self, axis: str, position: int) -> tuple[Path, str] | None:
        """Name the whole volume's file; see :meth:`Volume.source_file`."""
        source = self._whole.source_file(axis, position)
        return source and (source[0], f"{source[1]} of {self._numbers}")

    def source_files(self) -> tuple[Path, ...]:
        """Name the whole volume's files; see :meth:`Volume.source_files`."""
        return self._whole.source_files()

    def _read_region(self, region: tuple[slice, ...]) -> NDArray[Any]:
        numbers = self._numbers[region[self._place]]
        return read_channels(self._whole, region, numbers)
