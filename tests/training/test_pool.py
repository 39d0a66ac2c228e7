"""Pools of drawn stacks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.training.generator import draw_stack, random_motion, random_nuclei, random_tissue
from sam2_core.training.pool import draw_pool, open_pool


def test_a_pool_holds_what_its_seeds_draw_and_can_be_read_early(tmp_path: Path) -> None:
    drawing = draw_pool(tmp_path, first_seed=6, stacks=2, frames=2, size=(32, 40), nuclei=0.0)
    assert next(drawing) == 1
    assert len(open_pool(tmp_path)) == 1
    assert list(drawing) == [2]
    pool = open_pool(tmp_path)
    assert (len(pool), pool.frames) == (2, 2)
    expected = [
        draw_stack(_after_the_choice(seed), frames=2, size=(32, 40), kind=kind)
        for seed, kind in ((6, "z"), (7, "time"))
    ]
    np.testing.assert_array_equal(pool.images[1], expected[1].image)
    np.testing.assert_array_equal(pool.labels[0], expected[0].labels)


def test_nuclei_are_drawn_as_often_as_asked(tmp_path: Path) -> None:
    size = (48, 48)
    assert list(draw_pool(tmp_path, first_seed=3, stacks=1, frames=1, size=size, nuclei=1.0)) == [1]
    random = _after_the_choice(3)
    people, look = random_nuclei(random, size)
    expected = draw_stack(random, kind="still", size=size, population=people, appearance=look)
    np.testing.assert_array_equal(open_pool(tmp_path).images[0], expected.image)


def test_tissue_is_drawn_as_often_as_asked_and_as_slices(tmp_path: Path) -> None:
    size = (48, 48)
    assert list(draw_pool(tmp_path, first_seed=3, stacks=1, frames=3, size=size, nuclei=0.0, tissue=1.0)) == [1]
    random = _after_the_choice(3)
    people, look = random_tissue(random, size)
    expected = draw_stack(random, frames=3, kind="z", size=size, population=people, appearance=look)
    np.testing.assert_array_equal(open_pool(tmp_path).images[0], expected.image)
    with pytest.raises(InvalidInputError, match="together"):
        next(draw_pool(tmp_path, first_seed=0, stacks=1, frames=1, nuclei=0.6, tissue=0.5))


def test_cells_on_the_move_are_drawn_as_often_as_asked_and_as_time_points(tmp_path: Path) -> None:
    size = (64, 64)
    assert list(draw_pool(tmp_path, first_seed=4, stacks=1, frames=3, size=size, nuclei=0.0, motion=1.0)) == [1]
    random = _after_the_choice(4)
    people, look = random_motion(random, size)
    expected = draw_stack(random, frames=3, kind="time", size=size, population=people, appearance=look)
    np.testing.assert_array_equal(open_pool(tmp_path).images[0], expected.image)
    with pytest.raises(InvalidInputError, match="motion"):
        next(draw_pool(tmp_path, first_seed=0, stacks=1, frames=1, nuclei=0.6, motion=0.5))


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(tmp_path: Path, share: float) -> None:
    with pytest.raises(InvalidInputError, match="nuclei"):
        next(draw_pool(tmp_path, first_seed=0, stacks=1, frames=1, nuclei=share))


def _after_the_choice(seed: int) -> np.random.Generator:
    """The generator of a stack after it was chosen what the stack shows."""
    random = np.random.default_rng(seed)
    random.random()
    return random


def test_missing_and_empty_pools_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="draw_pool"):
        open_pool(tmp_path)
    with pytest.raises(InvalidInputError):
        next(draw_pool(tmp_path, first_seed=0, stacks=0, frames=1))
