"""VolumeFrames: the planes of a volume along one axis, each piece of the store read once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError, InvalidTypeError, Sam2Error
from sam2_core.volumes.contrast import Contrast
from sam2_core.volumes.contrast_sample import sample_pixels
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.slab_cache import Loader, SlabCache
from sam2_core.volumes.volume import Volume, read_channels

# frames in the background at least, where a chunk holds fewer
FRAMES_AHEAD = 4
# three pieces fit: the one in use, the one being read ahead, and the one before, for going back across the border
SLABS_IN_BUDGET = 3
# read frames kept at least, so that a step back costs nothing; few, so that memory does not grow along a long stack
KEPT_BYTES = 48 * 2**20


class VolumeFrames(FrameStack):
    """Frames along one axis of a volume, in any plane.

    What the volume stores together is read together: the frames of a chunk at once, or as many of them as fit into a
    third of the budget. So planes that cut across the chunks (zx planes of a volume stored as yx planes) read the store
    once for each such block of frames, not once a frame. Moving along the stack reads the next block in the background.

    Parameters
    ----------
    volume : Volume
        Closing the stack closes it.
    along, at, plane, channels, contrast, budget_bytes
        See :meth:`Volume.stack`.
    """

    volume: Volume

    def __init__(
        self,
        volume: Volume,
        *,
        along: str | None,
        at: Mapping[str, int] | None,
        plane: str,
        channels: Sequence[int | str] | None,
        contrast: Contrast,
        budget_bytes: int,
    ) -> None:
        if budget_bytes < 1:
            raise InvalidInputError(f"budget_bytes must be positive; got {budget_bytes}.")
        self.volume = volume
        self.plane = _checked_plane(volume, plane)
        self._along, self._fixed = _chosen_axis(volume, along, at or {}, self.plane)
        self.channels = volume.channel_numbers(channels)
        colour = volume.colour and (channels is None or self.channels == (0, 1, 2))
        sizes = volume.sizes
        is_named = self._along != volume.guessed_axis and (along is not None or sizes.get(self._along, 1) > 1)
        rows, columns = self.plane[0], self.plane[1]
        scale = volume.scale
        super().__init__(
            name=volume.name,
            length=sizes.get(self._along, 1),
            frame_size=(sizes[rows], sizes[columns]),
            channel_count=len(self.channels),
            dtype=volume.dtype,
            axis=self._along if self._along and is_named else "frame",
            colour=colour,
            contrast=contrast,
            spacing=(scale.get(self._along, 1.0), scale.get(rows, 1.0), scale.get(columns, 1.0)),
            spacing_unit=volume.units.get(columns) or volume.units.get(rows),
            address=volume.address,
            volume=volume,
        )
        self._budget = budget_bytes
        self._slabs = SlabCache(self._kept_bytes(budget_bytes))
        self._windows = SlabCache(budget_bytes)
        self._last_index: int | None = None

    def close(self) -> None:
        """Stop reading ahead, let go of what was read, and close the volume."""
        self.let_go()
        self.volume.close()

    def let_go(self) -> None:
        """Stop reading ahead and let go of what was read; the volume stays open."""
        self._slabs.close()
        self._windows.close()

    @property
    def fixed(self) -> dict[str, int]:
        """See :attr:`FrameStack.fixed`."""
        return dict(self._fixed)

    def source_file(self, index: int) -> tuple[Path, str] | None:
        """Name the file of a frame; see :meth:`FrameStack.source_file`."""
        source = self.volume.source_file(self._along, index)
        if source is None:
            return None
        return source[0], f"{source[1]} {self._along} {sorted(self._fixed.items())} {self.plane} {self.channels}"

    def scaled_to(self, frame_size: tuple[int, int]) -> FrameStack | None:
        """Open the same frames scaled to (height, width) by their decoder, same contrast; None if it cannot."""
        is_whole = self._along == "t" and self.plane == "yx" and len(self.channels) == self.volume.sizes.get("c", 1)
        scaled = self.volume.scaled_to(frame_size) if is_whole else None
        return scaled.stack("t", contrast=self.contrast_limits) if scaled is not None else None

    def _sample(self) -> NDArray[Any]:
        return sample_pixels(self.volume, self._fixed, self.channels)

    def _read_raw(self, index: int) -> NDArray[Any]:
        height, width = self.frame_size
        if self.volume.in_memory:
            return self._read_block(index, index + 1, slice(0, height), slice(0, width))[0]
        first, stop = self._block(index, self._plane_bytes)
        slab = self._slabs.get((first, stop), self._loader(first, stop))
        self._read_ahead(index)
        return slab[index - first]

    def _read_raw_window(self, index: int, rows: slice, columns: slice) -> NDArray[Any]:
        if self.volume.in_memory:
            return self._read_block(index, index + 1, rows, columns)[0]
        if all(self._chunk(axis) >= size for axis, size in zip(self.plane, self.frame_size, strict=True)):
            return self._read_raw(index)[rows, columns]  # no part of a frame can be had for less than all of it
        whole = self._slabs.peek(self._block(index, self._plane_bytes))
        if whole is not None:
            first, _ = self._block(index, self._plane_bytes)
            return whole[index - first, rows, columns]
        return self._assembled(index, rows, columns)

    def _assembled(self, index: int, rows: slice, columns: slice) -> NDArray[Any]:
        """Put a window together from chunks, which are kept: the next window beside it shares some of them."""
        tall, wide = self._chunk(self.plane[0]), self._chunk(self.plane[1])
        height, width = self.frame_size
        row_cells = range(rows.start // tall, -(-rows.stop // tall))
        column_cells = range(columns.start // wide, -(-columns.stop // wide))
        pixel_bytes = self.dtype.itemsize * self.channel_count
        first, stop = self._block(index, len(row_cells) * tall * len(column_cells) * wide * pixel_bytes)
        cells: dict[tuple[int, int], NDArray[Any]] = {}
        missing = []
        for row in row_cells:
            for column in column_cells:
                cell = self._windows.peek((first, stop, row, column))
                if cell is None:
                    missing.append((row, column))
                else:
                    cells[row, column] = cell
        for top, bottom, left, right in _rectangles(missing):
            y0, x0 = top * tall, left * wide
            block = self._read_block(
                first, stop, slice(y0, min(bottom * tall, height)), slice(x0, min(right * wide, width))
            )
            for row in range(top, bottom):
                for column in range(left, right):
                    within = (
                        slice(row * tall - y0, (row + 1) * tall - y0),
                        slice(column * wide - x0, (column + 1) * wide - x0),
                    )
                    cell = block[(slice(None), *within)].copy()
                    self._windows.put((first, stop, row, column), cell)
                    cells[row, column] = cell
        window = np.empty((rows.stop - rows.start, columns.stop - columns.start, self.channel_count), dtype=self.dtype)
        for (row, column), cell in cells.items():
            y0, x0 = row * tall, column * wide
            y_from, y_to = max(rows.start, y0), min(rows.stop, y0 + tall)
            x_from, x_to = max(columns.start, x0), min(columns.stop, x0 + wide)
            window[y_from - rows.start : y_to - rows.start, x_from - columns.start : x_to - columns.start] = cell[
                index - first, y_from - y0 : y_to - y0, x_from - x0 : x_to - x0
            ]
        return window

    def _read_ahead(self, index: int) -> None:
        last, self._last_index = self._last_index, index
        direction = 0 if last is None else index - last
        if direction not in (-1, 1):
            return  # a jump says nothing about what comes next

        def wanted() -> Iterator[tuple[tuple[int, int], Loader]]:
            block = self._block(index, self._plane_bytes)
            block_bytes = (block[1] - block[0]) * self._plane_bytes
            if 2 * block_bytes > self._budget:
                return
            # what comes must find room beside this block and the one before it, or it is dropped before it is used
            room = max(block_bytes, self._slabs.budget_bytes - 2 * block_bytes)
            frame_count = 0
            while frame_count < FRAMES_AHEAD:
                following = block[1] if direction > 0 else block[0] - 1
                if not 0 <= following < len(self):
                    return
                block = self._block(following, self._plane_bytes)
                room -= (block[1] - block[0]) * self._plane_bytes
                if frame_count and room < 0:
                    return
                frame_count += block[1] - block[0]
                yield block, self._loader(*block)

        self._slabs.read_ahead(wanted())

    @property
    def _plane_bytes(self) -> int:
        return self.frame_size[0] * self.frame_size[1] * self.channel_count * self.dtype.itemsize

    def _kept_bytes(self, budget: int) -> int:
        first, stop = self._block(0, self._plane_bytes)
        return min(budget, max(SLABS_IN_BUDGET * (stop - first) * self._plane_bytes, KEPT_BYTES))

    def _chunk(self, axis: str) -> int:
        return self.volume.chunks[self.volume.axes.index(axis)]

    def _block(self, index: int, frame_bytes: int) -> tuple[int, int]:
        """First frame and the one after the last of the block that is read together with a frame."""
        if not self._along:
            return 0, 1
        chunk = self._chunk(self._along)
        begin = index // chunk * chunk
        length = min(chunk, len(self) - begin)
        most = max(1, self._budget // SLABS_IN_BUDGET // frame_bytes)
        # parts of equal length, so that none is a remainder read for few frames
        size = -(-length // -(-length // most))
        first = begin + (index - begin) // size * size
        return first, min(first + size, begin + length)

    def _loader(self, first: int, stop: int) -> Loader:
        height, width = self.frame_size
        return lambda: self._read_block(first, stop, slice(0, height), slice(0, width))

    def _read_block(self, first: int, stop: int, rows: slice, columns: slice) -> NDArray[Any]:
        """Read a window of several frames: (frame, row, column, channel)."""
        rows_axis, columns_axis = self.plane[0], self.plane[1]
        place = {self._along: slice(first, stop), rows_axis: rows, columns_axis: columns}
        region = tuple(
            place.get(axis) or slice(self._fixed.get(axis, 0), self._fixed.get(axis, 0) + 1)
            for axis in self.volume.axes
        )
        try:
            pixels = read_channels(self.volume, region, self.channels)
        except Sam2Error as error:
            if stop - first == 1:
                which = f"Frame {first}"
            else:
                which = f"One of frames {first} to {stop - 1}, which are stored together,"
            raise type(error)(f"{which} of {self.name} cannot be read: {error}") from error
        # axes that are fixed go, the others come into the order frame, row, column, channel
        order = [axis for axis in (self._along, rows_axis, columns_axis, "c") if axis and axis in self.volume.axes]
        others = [axis for axis in self.volume.axes if axis not in order]
        pixels = pixels.transpose([self.volume.axes.index(axis) for axis in (*others, *order)])
        return pixels.reshape(stop - first, rows.stop - rows.start, columns.stop - columns.start, len(self.channels))


def _checked_plane(volume: Volume, plane: str) -> str:
    if not isinstance(plane, str):
        raise InvalidTypeError(f'plane must name two axes, such as "yx" or "zx"; got {plane!r}.')
    letters = plane.casefold()
    usable = [axis for axis in volume.axes if axis != "c"]
    if len(letters) != 2 or letters[0] == letters[1] or set(letters) - set(usable):
        raise InvalidInputError(
            f'plane={plane!r} is not a plane of {volume.name}: name its rows and its columns, such as "yx" or "zx", '
            f"from the axes {', '.join(usable)}."
        )
    return letters


def _chosen_axis(volume: Volume, along: str | None, at: Mapping[str, int], plane: str) -> tuple[str, dict[str, int]]:
    """Which axis frames are counted along ("" for a single picture) and the positions on the others."""
    sizes = volume.sizes
    others = [axis for axis in volume.axes if axis != "c" and axis not in plane]
    fixed: dict[str, int] = {}
    given: object = at  # callers need not have heeded the types
    if not isinstance(given, Mapping) or not all(isinstance(letter, str) for letter in given):
        raise InvalidTypeError(f'at must map axes to positions, such as {{"t": 3}}; got {at!r}.')
    if along is not None and not isinstance(along, str):
        raise InvalidTypeError(f'The axis to count frames along must be a letter, such as "z"; got {along!r}.')
    for letter, position in at.items():
        axis = letter.casefold()
        if axis not in others or (along and axis == along.casefold()):
            raise InvalidInputError(
                f"{volume.name} has axes {', '.join(volume.axes)}; there is no axis {letter!r} to fix a position on"
                + (" (choose channels with channels=)." if axis == "c" else ".")
            )
        fixed[axis] = volume.checked_position(axis, position)
    long_axes = [axis for axis in others if sizes[axis] > 1 and axis not in fixed]
    if along is not None:
        wanted = along.casefold()
        if wanted not in others:
            # a file that does not name its axes: whatever the frames are called is right
            if not (long_axes or fixed) or (len(long_axes) == 1 and long_axes[0] == volume.guessed_axis):
                return (long_axes[0] if long_axes else ""), fixed
            raise InvalidInputError(
                f"{volume.name} has axes {', '.join(volume.axes)}; there is no axis {along!r} to count frames along "
                f"in the plane {plane}."
            )
        chosen = wanted
    else:
        chosen = long_axes[0] if len(long_axes) == 1 else ""
    undecided = [axis for axis in long_axes if axis != chosen]
    if undecided:
        listed = ", ".join(f"{axis} ({sizes[axis]})" for axis in long_axes)
        second = chosen or long_axes[1]
        first = next(axis for axis in long_axes if axis != second)
        raise InvalidInputError(
            f"{volume.name} is long along several axes: {listed}. Choose the one to follow and a position on the "
            f'others, such as axis="{second}", at={{"{first}": 0}} (on the command line: --axis {second} '
            f"--at {first}=0)."
        )
    return chosen, fixed


def _rectangles(cells: list[tuple[int, int]]) -> Iterator[tuple[int, int, int, int]]:
    """Cover cells (row, column) by rectangles (top, bottom, left, right) that hold no other cell."""
    left = set(cells)
    while left:
        top, first = min(left)
        right = first
        while (top, right) in left:
            right += 1
        bottom = top
        while all((bottom, column) in left for column in range(first, right)):
            left -= {(bottom, column) for column in range(first, right)}
            bottom += 1
        yield top, bottom, first, right
