"""Pools of drawn stacks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.training.generator import draw_stack
from sam2_core.training.pool import draw_pool, open_pool


def test_a_pool_holds_what_its_seeds_draw_and_can_be_read_early(tmp_path: Path) -> None:
    drawing = draw_pool(tmp_path, first_seed=6, stacks=2, frames=2, size=(32, 40))
    assert next(drawing) == 1
    assert len(open_pool(tmp_path)) == 1
    assert list(drawing) == [2]
    pool = open_pool(tmp_path)
    assert (len(pool), pool.frames) == (2, 2)
    np.testing.assert_array_equal(pool.images[1], draw_stack(7, frames=2, size=(32, 40), kind="time").image)
    np.testing.assert_array_equal(pool.labels[0], draw_stack(6, frames=2, size=(32, 40), kind="z").labels)


def test_missing_and_empty_pools_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="draw_pool"):
        open_pool(tmp_path)
    with pytest.raises(InvalidInputError):
        next(draw_pool(tmp_path, first_seed=0, stacks=0, frames=1))
