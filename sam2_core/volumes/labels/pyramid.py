"""Smaller copies of a label image, made piece by piece: each pixel takes the label that most of its pixels have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# side of the pieces of a level, in pixels of that level
_PIECE = 2048


def reduced(labels: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
    """Shrink a label array.

    By whole factors each voxel takes the most frequent label of its block; of equally frequent ones an
    object wins over background, so that thin objects stay visible, and then the smaller id. By other factors it
    takes the label at its centre.

    Parameters
    ----------
    labels : ndarray, any axes
    shape : sequence of int
        The shape wanted, no axis longer than that of `labels`.

    Returns
    -------
    ndarray, `shape`
    """
    factors = [_whole_factor(old, new) for old, new in zip(labels.shape, shape, strict=True)]
    if all(factor == 1 for factor in factors):
        return labels
    if not labels.any():
        return np.zeros(shape, dtype=labels.dtype)
    if 0 in factors:
        centres = [
            ((np.arange(new) + 0.5) * old / new).astype(np.intp) for old, new in zip(labels.shape, shape, strict=True)
        ]
        return labels[np.ix_(*centres)]
    missing = [(0, max(0, new * f - old)) for old, new, f in zip(labels.shape, shape, factors, strict=True)]
    if any(after for _, after in missing):
        labels = np.pad(labels, missing, mode="edge")
    labels = labels[tuple(slice(new * factor) for new, factor in zip(shape, factors, strict=True))]
    split = labels.reshape([size for pair in zip(shape, factors, strict=True) for size in pair])
    axes = range(len(shape))
    blocks = split.transpose([*(2 * axis for axis in axes), *(2 * axis + 1 for axis in axes)]).reshape(*shape, -1)
    result: NDArray[Any] = blocks[..., 0].copy()
    is_mixed = (blocks != blocks[..., :1]).any(axis=-1)
    result[is_mixed] = _most_frequent(blocks[is_mixed])
    return result


def _most_frequent(blocks: NDArray[Any]) -> NDArray[Any]:
    """The most frequent label of each row: (row, label) to (row,)."""
    blocks = np.sort(blocks, axis=1)
    votes = np.zeros(blocks.shape, dtype=np.int32)
    for column in range(blocks.shape[1]):
        votes[:, column] = 2 * (blocks == blocks[:, column : column + 1]).sum(axis=1) + (blocks[:, column] > 0)
    best: NDArray[Any] = np.take_along_axis(blocks, votes.argmax(axis=1)[:, None], axis=1)[:, 0]
    return best


def _whole_factor(old: int, new: int) -> int:
    """How many old pixels make a new one; 0 where that is no whole number. Odd sides may be rounded either way."""
    factor = max(1, round(old / new))
    return factor if new in (old // factor, -(-old // factor)) else 0


@dataclass(frozen=True)
class Pyramid:
    """The levels of a label image and which of their axes frames are counted along.

    Parameters
    ----------
    levels : sequence of zarr arrays
        From the full size down.
    axes : str
        Their axes, such as "tzyx".
    frame_axis : str
        One of the axes, or "" for a single picture.
    fixed : mapping of str to int
        Positions on the remaining axes, at full size.
    """

    levels: Sequence[Any]
    axes: str
    frame_axis: str
    fixed: Mapping[str, int]

    def build(self, changed: NDArray[np.bool_], look: Callable[[NDArray[Any]], None]) -> None:
        """Bring the smaller levels up to date.

        Parameters
        ----------
        changed : ndarray, (frame,), bool
            Frames of the full size that have changed.
        look : callable
            Called with each piece of the changed frames at full size.
        """
        if len(self.levels) == 1:
            self._look_at_full_size(changed, look)
        for number, (source, target) in enumerate(zip(self.levels[:-1], self.levels[1:], strict=True)):
            changed_below = np.zeros(self._frames(target), dtype=np.bool_)
            for frame in range(len(changed_below)):
                start, stop = self._source_range(source, target, self.frame_axis, frame, frame + 1)
                if changed[start:stop].any():
                    changed_below[frame] = True
                    self._build_frame(source, target, frame, look if number == 0 else None)
            changed = changed_below

    def _look_at_full_size(self, changed: NDArray[np.bool_], look: Callable[[NDArray[Any]], None]) -> None:
        array = self.levels[0]
        for frame in np.flatnonzero(changed).tolist():
            for y0, y1, x0, x1 in _pieces(self._side(array, "y"), self._side(array, "x")):
                look(np.asarray(array[self._index(array, {self.frame_axis: (frame, frame + 1)}, (y0, y1), (x0, x1))]))

    def _build_frame(self, source: Any, target: Any, frame: int, look: Callable[[NDArray[Any]], None] | None) -> None:
        frames = self._source_range(source, target, self.frame_axis, frame, frame + 1)
        for y0, y1, x0, x1 in _pieces(self._side(target, "y"), self._side(target, "x")):
            rows = self._source_range(source, target, "y", y0, y1)
            columns = self._source_range(source, target, "x", x0, x1)
            pixels = np.asarray(source[self._index(source, {self.frame_axis: frames}, rows, columns)])
            if look is not None:
                look(pixels)
            place = self._index(target, {self.frame_axis: (frame, frame + 1)}, (y0, y1), (x0, x1))
            shape = [part.stop - part.start for part in place]
            target[place] = reduced(pixels, shape)

    def _index(
        self, array: Any, frames: Mapping[str, tuple[int, int]], rows: tuple[int, int], columns: tuple[int, int]
    ) -> tuple[slice, ...]:
        ranges = {"y": rows, "x": columns, **frames}
        for axis, position in self.fixed.items():
            full, here = self._side(self.levels[0], axis), self._side(array, axis)
            ranges[axis] = (position * here // full, position * here // full + 1)
        return tuple(slice(*ranges[axis]) for axis in self.axes)

    def _source_range(self, source: Any, target: Any, axis: str, start: int, stop: int) -> tuple[int, int]:
        if axis not in self.axes or not axis:
            return 0, 1
        old, new = self._side(source, axis), self._side(target, axis)
        factor = _whole_factor(old, new)
        if factor:
            return start * factor, min(old, stop * factor)
        return start * old // new, -(-stop * old // new)

    def _side(self, array: Any, axis: str) -> int:
        return int(array.shape[self.axes.index(axis)])

    def _frames(self, array: Any) -> int:
        return self._side(array, self.frame_axis) if self.frame_axis else 1


def _pieces(height: int, width: int) -> list[tuple[int, int, int, int]]:
    return [
        (y, min(y + _PIECE, height), x, min(x + _PIECE, width))
        for y in range(0, height, _PIECE)
        for x in range(0, width, _PIECE)
    ]
