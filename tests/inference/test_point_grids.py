from __future__ import annotations

import pytest

from sam2_core.errors import InvalidInputError
from sam2_core.inference.point_grids import batch_iterator, build_all_layer_point_grids, build_point_grid


def test_grids_hold_the_centres_of_cells() -> None:
    assert build_point_grid(2).tolist() == [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]
    assert [len(grid) for grid in build_all_layer_point_grids(8, 2, 2)] == [64, 16, 4]
    with pytest.raises(InvalidInputError, match="at least one point"):
        build_point_grid(0)


def test_batches_walk_in_step() -> None:
    assert list(batch_iterator(2, [1, 2, 3], "abc")) == [[[1, 2], "ab"], [[3], "c"]]
    with pytest.raises(InvalidInputError, match="one length"):
        list(batch_iterator(2, [1, 2], "abc"))
