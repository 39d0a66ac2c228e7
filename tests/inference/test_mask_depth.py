from __future__ import annotations

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError
from sam2_core.inference.mask_depth import depth_in, innermost


def test_depth_is_the_distance_to_the_next_pixel_outside() -> None:
    mask = np.random.default_rng(0).random((9, 12)) < 0.8
    outside = np.argwhere(~np.pad(mask, 1)) - 1

    depth = depth_in(mask)

    for place in np.ndindex(mask.shape):
        assert depth[place] == pytest.approx(np.hypot(*(outside - place).T).min())


def test_the_pixel_that_is_drawn_is_in_the_mask_and_deep_ones_are_drawn_more_often() -> None:
    mask = np.zeros((40, 50), bool)
    mask[10:31, 5:26] = True
    random = np.random.default_rng(0)

    drawn = [innermost(mask, random) for _ in range(400)]

    assert innermost(mask) == (15, 20)
    assert all(mask[y, x] for x, y in drawn)
    inner = sum(10 <= x < 21 and 15 <= y < 26 for x, y in drawn)
    # a quarter of the pixels, which alike they would be drawn 110 times
    assert inner > 180


def test_nothing_to_choose_from() -> None:
    with pytest.raises(InvalidInputError, match="empty"):
        innermost(np.zeros((4, 4), bool))
