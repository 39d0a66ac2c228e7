"""Every pixel has exactly one tile that answers for it, and that tile sees around it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.errors import InvalidInputError
from sam2_core.inference.tile_grid import TileGrid, Window

SIZES = st.tuples(st.integers(1, 160), st.integers(1, 160))


@st.composite
def grids(draw: st.DrawFn) -> TileGrid:
    tile = draw(st.integers(8, 90)), draw(st.integers(8, 90))
    return TileGrid(draw(SIZES), tile, draw(st.integers(0, (min(tile) - 3) // 2)))


@settings(deadline=None)
@given(grids())
def test_cores_cover_the_frame_without_overlap(grid: TileGrid) -> None:
    counts = np.zeros(grid.frame_size, np.int32)
    for tile in grid:
        counts[tile.core.rows, tile.core.columns] += 1
    assert (counts == 1).all()


@settings(deadline=None)
@given(grids())
def test_tiles_have_one_size_lie_in_the_frame_and_see_a_halo_around_their_core(grid: TileGrid) -> None:
    frame = Window(0, 0, *grid.frame_size)
    for tile in grid:
        assert tile.window.size == grid.tile_size
        assert frame.holds(tile.window)
        assert tile.window.holds(tile.core.grown(grid.halo) & frame)


@settings(deadline=None)
@given(grids(), st.data())
def test_the_tile_at_a_position_is_the_one_whose_core_holds_it(grid: TileGrid, data: st.DataObject) -> None:
    height, width = grid.frame_size
    x = data.draw(st.floats(0, width, exclude_max=True))
    y = data.draw(st.floats(0, height, exclude_max=True))
    owners = [tile for tile in grid if (x, y) in tile.core]
    assert owners == [grid.at(x, y)]
    assert grid[owners[0].index] == owners[0]
    assert divmod(owners[0].index, grid.shape[1]) == (owners[0].row, owners[0].column)


@settings(deadline=None)
@given(grids(), st.integers(-20, 320), st.integers(-20, 320), st.integers(0, 90), st.integers(0, 90))
def test_cores_that_touch_a_window(grid: TileGrid, top: int, left: int, height: int, width: int) -> None:
    window = Window(top, left, top + height, left + width)
    assert grid.cores_touching(window) == [tile for tile in grid if (tile.core & window).area]


@settings(deadline=None)
@given(grids(), st.integers(0, 40))
def test_the_inner_part_reaches_the_frames_edge(grid: TileGrid, margin: int) -> None:
    for tile in grid:
        inner, window = grid.inner_part(tile, margin), tile.window
        assert inner.top == (window.top + margin if window.top else 0)
        assert inner.right == (window.right - margin if window.right < grid.frame_size[1] else window.right)


@settings(deadline=None)
@given(SIZES, st.integers(16, 128))
def test_what_the_model_sees_well_is_one_tile(frame_size: tuple[int, int], side: int) -> None:
    grid = TileGrid.for_model(frame_size, (side, side))
    fits = max(frame_size) <= 1.5 * side
    assert (len(grid) == 1) == fits
    if fits:
        assert grid[0].window == grid[0].core == Window(0, 0, *frame_size)
    else:
        # no pixel is lost: a tile is never larger than the model's input
        assert max(grid.tile_size) <= side


def test_a_slide_is_cut_into_tiles_of_the_models_size() -> None:
    grid = TileGrid.for_model((20_000, 20_000), (1024, 1024))
    assert grid.tile_size == (1024, 1024)
    assert grid.halo == 128
    assert grid.shape == (26, 26)


def test_positions_on_the_far_edge_belong_to_the_last_tile_and_beyond_to_none() -> None:
    grid = TileGrid((100, 200), 50, 10)
    assert grid.at(200, 100) == grid[len(grid) - 1]
    for position in ((200.1, 5), (5, 100.1), (-0.1, 5), (float("nan"), 5)):
        with pytest.raises(InvalidInputError, match="outside the frame"):
            grid.at(*position)
    with pytest.raises(IndexError):
        grid[len(grid)]


@pytest.mark.parametrize("arguments", [((100, 100), 40, 20), ((100, 100), 40, -1), ((100, 0), 40, 5), ((9, 9), 0, 0)])
def test_grids_that_cannot_be(arguments: tuple[tuple[int, int], int, int]) -> None:
    with pytest.raises(InvalidInputError):
        TileGrid(*arguments)


WINDOWS = st.builds(
    lambda top, left, height, width: Window(top, left, top + height, left + width),
    st.integers(-9, 30),
    st.integers(-9, 30),
    st.integers(1, 20),
    st.integers(1, 20),
)


@settings(deadline=None)
@given(WINDOWS, WINDOWS)
def test_windows_are_sets_of_pixels(first: Window, second: Window) -> None:
    def pixels(window: Window) -> set[tuple[int, int]]:
        return {(y, x) for y in range(window.top, window.bottom) for x in range(window.left, window.right)}

    assert pixels(first & second) == pixels(first) & pixels(second)
    assert (first & second).area == len(pixels(first) & pixels(second))
    assert pixels(first) <= pixels(first | second) >= pixels(second)
    assert first.holds(second) == (pixels(first) >= pixels(second))
    shared = first & second
    if shared.area:
        rows, columns = shared.within(first)
        assert np.zeros(first.size)[rows, columns].shape == shared.size
