"""GridFrames: the planes of a volume along two axes, such as the z-stacks of a time-lapse."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.contrast import Contrast
from sam2_core.volumes.contrast_sample import sample_pixels
from sam2_core.volumes.frame_grid import FrameGrid
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.volume import Volume
from sam2_core.volumes.volume_frames import VolumeFrames

#: Positions on the first axis whose stacks are kept at hand: who tracks over time goes to and fro between two.
STACKS_AT_HAND: Final = 3


class GridFrames(FrameStack):
    """Frames along two axes of a volume, numbered as its :class:`~sam2_core.volumes.frame_grid.FrameGrid` says.

    The contrast is one for all of them, so that an object looks the same at every time. Frames may be read from any
    thread.

    Parameters
    ----------
    volume : Volume
        Closing the stack closes it.
    along : str
        Two axes, such as "tz": z runs fastest.
    at, plane, channels, contrast, budget_bytes
        See :meth:`Volume.stack`.
    """

    volume: Volume
    grid: FrameGrid

    def __init__(
        self,
        volume: Volume,
        *,
        along: str,
        at: Mapping[str, int] | None,
        plane: str,
        channels: Sequence[int | str] | None,
        contrast: Contrast,
        budget_bytes: int,
    ) -> None:
        axes = along.casefold()
        missing = [axis for axis in axes if axis not in volume.axes]
        if len(axes) != 2 or axes[0] == axes[1] or missing:
            raise InvalidInputError(
                f"{volume.name} has axes {', '.join(volume.axes)}; frames are counted along one of them, or along two "
                f'that are named together, such as along="tz". Got {along!r}.'
            )
        self._outer, inner = axes[0], axes[1]
        self._at = dict(at or {})
        self._budget = budget_bytes
        self._options: dict[str, Any] = {"along": inner, "plane": plane, "channels": channels}
        self._stacks: OrderedDict[int, VolumeFrames] = OrderedDict()
        self._readers: Counter[int] = Counter()
        self._lock = threading.Lock()
        self.volume = volume
        if self._outer in self._at:
            raise InvalidInputError(f"Frames are counted along {self._outer}; at={self._at} fixes a position on it.")
        with self._stack(0) as stack:
            first = stack
        sizes = volume.sizes
        super().__init__(
            name=volume.name,
            length=sizes[self._outer] * len(first),
            frame_size=first.frame_size,
            channel_count=first.channel_count,
            dtype=volume.dtype,
            axis=axes,
            colour=first.colour,
            contrast=contrast,
            spacing=first.spacing,
            spacing_unit=first.spacing_unit,
            address=volume.address,
            volume=volume,
            grid=FrameGrid(
                axes, (sizes[self._outer], len(first)), (volume.scale.get(self._outer, 1.0), first.spacing[0])
            ),
        )
        self.plane, self.channels = first.plane, first.channels

    def close(self) -> None:
        """Stop reading ahead, let go of what was read, and close the volume."""
        with self._lock:
            stacks = list(self._stacks.values())
            self._stacks.clear()
        for stack in stacks:
            stack.let_go()
        self.volume.close()

    @property
    def fixed(self) -> dict[str, int]:
        """See :attr:`FrameStack.fixed`."""
        with self._stack(0) as stack:
            return {axis: position for axis, position in stack.fixed.items() if axis != self._outer}

    def source_file(self, index: int) -> tuple[Path, str] | None:
        """Name the file of a frame; see :meth:`FrameStack.source_file`."""
        first, second = self._places(index)
        with self._stack(first) as stack:
            return stack.source_file(second)

    def _sample(self) -> NDArray[Any]:
        return sample_pixels(self.volume, self.fixed, self.channels)

    def _read_raw(self, index: int) -> NDArray[Any]:
        first, second = self._places(index)
        with self._stack(first) as stack:
            return stack._read_raw(second)

    def _read_raw_window(self, index: int, rows: slice, columns: slice) -> NDArray[Any]:
        first, second = self._places(index)
        with self._stack(first) as stack:
            return stack._read_raw_window(second, rows, columns)

    def _places(self, index: int) -> tuple[int, int]:
        return divmod(index, self.grid.sizes[1])

    @contextmanager
    def _stack(self, position: int) -> Iterator[VolumeFrames]:
        """The frames at a position on the first axis, which nobody lets go of meanwhile."""
        with self._lock:
            stack = self._stacks.get(position)
            if stack is None:
                stack = self._stacks[position] = VolumeFrames(
                    self.volume,
                    at={**self._at, self._outer: position},
                    contrast=None,
                    budget_bytes=max(1, self._budget // STACKS_AT_HAND),
                    **self._options,
                )
            self._stacks.move_to_end(position)
            self._readers[position] += 1
        try:
            yield stack
        finally:
            with self._lock:
                self._readers[position] -= 1
                idle = [one for one in self._stacks if not self._readers[one]]
                surplus = max(0, len(self._stacks) - STACKS_AT_HAND)
                dropped = [self._stacks.pop(one) for one in idle[:surplus]]
            # outside of the lock: it waits for what is being read ahead
            for one in dropped:
                one.let_go()
