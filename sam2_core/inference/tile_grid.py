"""Which tiles cover a plane that is larger than the model sees, and which of them answers for which pixel."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from sam2_core.errors import InvalidInputError

#: Planes up to this many times the model's input are shown whole: cells shrink a little and are all seen at once.
WHOLE_PLANE_FACTOR = 1.5
#: Halo of automatic tiles as a fraction of their side. What fits in it is seen whole by the tile that answers for it.
HALO_SHARE = 1 / 8


@dataclass(frozen=True, order=True)
class Window:
    """A rectangle of pixels: rows ``top`` to ``bottom`` and columns ``left`` to ``right``, the ends not included.

    It may stick out of the frame it is laid on.
    """

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.bottom - self.top, self.right - self.left

    @property
    def area(self) -> int:
        """Number of pixels; 0 where the window is empty."""
        return max(0, self.bottom - self.top) * max(0, self.right - self.left)

    @property
    def rows(self) -> slice:
        """The rows, to index a frame with."""
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        """The columns, to index a frame with."""
        return slice(self.left, self.right)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1), the ends not included."""
        return self.left, self.top, self.right, self.bottom

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) of the middle."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def __contains__(self, position: tuple[float, float]) -> bool:
        """Whether a position (x, y) lies in the window; its far edges do not belong to it."""
        x, y = position
        return self.left <= x < self.right and self.top <= y < self.bottom

    def __and__(self, other: Window) -> Window:
        """Return the part both share, of size 0 where they share nothing."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        return Window(top, left, max(top, min(self.bottom, other.bottom)), max(left, min(self.right, other.right)))

    def __or__(self, other: Window) -> Window:
        """Return the smallest window that holds both."""
        return Window(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )

    def holds(self, other: Window) -> bool:
        """Whether another window lies in this one."""
        return (
            self.top <= other.top
            and self.left <= other.left
            and other.bottom <= self.bottom
            and other.right <= self.right
        )

    def grown(self, margin: int) -> Window:
        """The window with a margin on each side; with a negative one it shrinks."""
        return Window(self.top - margin, self.left - margin, self.bottom + margin, self.right + margin)

    def within(self, other: Window) -> tuple[slice, slice]:
        """Rows and columns of this window in an array that shows ``other``, which must hold it."""
        return (
            slice(self.top - other.top, self.bottom - other.top),
            slice(self.left - other.left, self.right - other.left),
        )


@dataclass(frozen=True)
class Tile:
    """One tile of a grid.

    Attributes
    ----------
    index : int
        Its place in the grid, row by row.
    row, column : int
        The same by rows and columns of tiles.
    core : Window
        The pixels it answers for. The cores of a grid cover the frame without overlap.
    window : Window
        The pixels it sees: the core and a halo around it, inside the frame.
    """

    index: int
    row: int
    column: int
    core: Window
    window: Window


class TileGrid:
    """Tiles of one size that cover a frame, each with a halo in which it overlaps its neighbours.

    Tiles are spread evenly and lie inside the frame, so that all have the same size and compiled shapes stay the same;
    where they overlap, the border between their cores runs in the middle. A frame no larger than a tile is one tile.

    Parameters
    ----------
    frame_size : (int, int)
        (height, width) in pixels.
    tile_size : int or (int, int)
        Side, or height and width, of the tiles in pixels.
    halo : int
        How far, at least, a tile sees beyond its core towards a neighbour; less than half a tile.

    Raises
    ------
    InvalidInputError
        A size below 1, or a halo that leaves no core.
    """

    def __init__(self, frame_size: tuple[int, int], tile_size: int | tuple[int, int], halo: int) -> None:
        height, width = (tile_size, tile_size) if isinstance(tile_size, int) else tile_size
        if min(*frame_size, height, width) < 1:
            raise InvalidInputError(f"Frames and tiles have at least one pixel; got {frame_size} and {tile_size}.")
        if halo < 0 or 2 * halo >= min(height, width):
            raise InvalidInputError(
                f"A halo of {halo} pixels on both sides leaves nothing of tiles of {height} x {width} (height x width)."
                " Take a smaller halo, from 0 to less than half a tile, or larger tiles."
            )
        self.frame_size = (int(frame_size[0]), int(frame_size[1]))
        self.halo = halo
        self._tops, self._row_borders, tile_height = _spread(self.frame_size[0], height, halo)
        self._lefts, self._column_borders, tile_width = _spread(self.frame_size[1], width, halo)
        self.tile_size = (tile_height, tile_width)

    @classmethod
    def for_model(
        cls,
        frame_size: tuple[int, int],
        input_size: tuple[int, int],
        *,
        tile_size: int | tuple[int, int] | None = None,
        halo: int | None = None,
    ) -> TileGrid:
        """Choose tiles by what the model sees well.

        Parameters
        ----------
        frame_size : (int, int)
            (height, width) of the plane in pixels.
        input_size : (int, int)
            (height, width) of the model's input. A plane up to 1.5 times as large is one tile, which is what an untiled
            predictor sees; a larger one is cut into tiles of this size, so that no pixel is lost.
        tile_size, halo : int, optional
            Chosen by hand instead: smaller tiles than the input are magnified. By default the halo is an eighth of the
            tile.

        Returns
        -------
        TileGrid
        """
        if tile_size is None:
            fits = all(extent <= WHOLE_PLANE_FACTOR * side for extent, side in zip(frame_size, input_size, strict=True))
            tile_size = frame_size if fits else input_size
        if halo is None:
            halo = int(HALO_SHARE * (tile_size if isinstance(tile_size, int) else min(tile_size)))
        return cls(frame_size, tile_size, halo)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return len(self._tops), len(self._lefts)

    def __len__(self) -> int:
        return len(self._tops) * len(self._lefts)

    def __iter__(self) -> Iterator[Tile]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Tile:
        if not 0 <= index < len(self):
            raise IndexError(f"Tile {index} does not exist: the grid has {len(self)} tiles.")
        row, column = divmod(index, len(self._lefts))
        core = Window(
            self._row_borders[row],
            self._column_borders[column],
            self._row_borders[row + 1],
            self._column_borders[column + 1],
        )
        top, left = self._tops[row], self._lefts[column]
        return Tile(index, row, column, core, Window(top, left, top + self.tile_size[0], left + self.tile_size[1]))

    def __repr__(self) -> str:
        rows, columns = self.shape
        height, width = self.tile_size
        return f"<TileGrid: {rows} x {columns} tiles of {height} x {width} (height x width), halo {self.halo}>"

    def at(self, x: float, y: float) -> Tile:
        """Return the tile that answers for a position.

        Parameters
        ----------
        x, y : float
            Pixels of the frame. The frame's right and lower edge belong to its last tiles.

        Raises
        ------
        InvalidInputError
            The position lies outside the frame.
        """
        height, width = self.frame_size
        if not (0 <= x <= width and 0 <= y <= height):
            raise InvalidInputError(
                f"Position (x={x:g}, y={y:g}) lies outside the frame: x runs from 0 to {width} and y from 0 to "
                f"{height}. Positions are (x, y), not (row, column)."
            )
        row = min(bisect_right(self._row_borders, y), len(self._tops)) - 1
        column = min(bisect_right(self._column_borders, x), len(self._lefts)) - 1
        return self[row * len(self._lefts) + column]

    def cores_touching(self, window: Window) -> list[Tile]:
        """List the tiles that answer for a pixel of a window."""
        inside = window & Window(0, 0, *self.frame_size)
        if not inside.area:
            return []
        first, last = self.at(inside.left, inside.top), self.at(inside.right - 1, inside.bottom - 1)
        return [
            self[row * len(self._lefts) + column]
            for row in range(first.row, last.row + 1)
            for column in range(first.column, last.column + 1)
        ]

    def inner_part(self, tile: Tile, margin: int) -> Window:
        """Return what is left of a tile's window without a margin, which stays where the frame ends too."""
        height, width = self.frame_size
        window = tile.window
        return Window(
            window.top + margin if window.top > 0 else 0,
            window.left + margin if window.left > 0 else 0,
            window.bottom - margin if window.bottom < height else height,
            window.right - margin if window.right < width else width,
        )


def _spread(extent: int, tile: int, halo: int) -> tuple[list[int], list[int], int]:
    """First pixels of the tiles along one axis, the borders between their cores, and the tiles' length."""
    if extent <= tile:
        return [0], [0, extent], extent
    steps = math.ceil((extent - tile) / (tile - 2 * halo))
    starts = [number * (extent - tile) // steps for number in range(steps + 1)]
    # neighbours overlap by at least two halos; the border runs in the middle of the overlap
    middles = [(start + tile + following) // 2 for start, following in pairwise(starts)]
    return starts, [0, *middles, extent], tile
