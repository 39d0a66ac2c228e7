from __future__ import annotations

import numpy as np
import pytest

from sam2_core.cli.prompts import FramePrompt, MaskCrop, ObjectPrompts
from sam2_core.cli.track_cost import TileWork, TrackCost, looked_at_frames, object_steps, work_in_tiles
from sam2_core.cli.track_plan import Stretch
from sam2_core.inference.tile_grid import TileGrid

GRID = TileGrid((400, 400), 100, 10)
STRETCHES = [Stretch(2, 3, False, (1, 2)), Stretch(1, 2, True, (1,))]


def test_half_the_input_costs_a_quarter():
    cost = TrackCost(8.0, 2.0)
    assert cost.seconds(3, 5) == 34
    assert cost.with_smaller_input((1024, 1024)) == (512, TrackCost(2.0, 0.5))
    assert cost.with_smaller_input((800, 800)) == (384, TrackCost(8.0 * 0.48**2, 2.0 * 0.48**2))
    assert cost.with_smaller_input((256, 256)) is None
    assert cost.with_smaller_input((1024, 512)) is None


def test_steps_of_all_objects():
    assert object_steps(STRETCHES) == 3 * 2 + 2


def one(object_id: int, **what) -> ObjectPrompts:
    return ObjectPrompts(object_id, {2: FramePrompt(**what)})


def touched(box) -> set[int]:
    """By its pixels: the tiles whose core has one of them, or the middle one's, where it sees all of them."""
    left, top, right, bottom = box
    drawn = np.zeros(GRID.frame_size, bool)
    drawn[top:bottom, left:right] = True
    home = GRID.at((left + right) / 2, (top + bottom) / 2)
    if drawn[home.window.rows, home.window.columns].sum() == drawn.sum():
        return {home.index}
    return {tile.index for tile in GRID if drawn[tile.core.rows, tile.core.columns].any()}


@pytest.mark.parametrize("box", [(40, 40, 60, 60), (85, 20, 95, 30), (60, 60, 260, 130), (0, 0, 400, 400)])
def test_an_object_costs_a_step_in_each_tile_it_lies_in(box):
    left, top, right, bottom = box
    mask = np.zeros(GRID.frame_size, bool)
    mask[top:bottom, left:right] = True
    tiles = touched(box)
    for prompted in (one(1, box=box), one(1, mask=MaskCrop.of(mask))):
        alone = [Stretch(2, 3, False, (1,))]
        pictures = [(frame, tile) for frame in (2, 3, 4) for tile in sorted(tiles)]
        assert work_in_tiles(alone, [prompted], GRID) == TileWork(len(pictures), pictures, len(pictures), True)


def test_a_tile_is_looked_at_once_for_all_objects_in_it():
    near, far = one(2, box=(20, 20, 30, 30)), one(2, points=[(390.0, 390.0)], labels=[1])
    first = one(1, box=(40, 40, 50, 50))
    last = len(GRID) - 1
    every = [(frame, 0) for frame in range(5)]
    assert work_in_tiles(STRETCHES, [first, near], GRID) == TileWork(3 + 2, every, 6 + 2, True)
    both = sorted([*every, *((frame, last) for frame in (2, 3, 4))])
    assert work_in_tiles(STRETCHES, [first, far], GRID) == TileWork(6 + 2, both, 6 + 2, False)


def test_what_is_looked_at_again_is_one_picture():
    there_and_back = [Stretch(2, 3, False, (1,)), Stretch(3, 3, True, (1,))]
    assert looked_at_frames(there_and_back) == [1, 2, 3, 4]
    work = work_in_tiles(there_and_back, [one(1, box=(40, 40, 50, 50))], GRID)
    assert work == TileWork(6, [(frame, 0) for frame in (1, 2, 3, 4)], 6, True)
