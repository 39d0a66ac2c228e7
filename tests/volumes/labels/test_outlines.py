from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage.draw import polygon2mask

from sam2_core.volumes.labels.outlines import are_rectilinear, filled_outlines, mask_outlines

MASKS = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))


@settings(deadline=None)
@given(MASKS)
def test_filled_again_by_either_rule(mask):
    paths = mask_outlines(mask)
    assert np.array_equal(filled_outlines(paths, mask.shape), mask)
    # pixels whose centre lies inside, by the even-odd rule of scikit-image
    oracle = np.zeros(mask.shape, bool)
    for path in paths:
        oracle ^= polygon2mask(mask.shape, path[:, ::-1] - 0.5)
    assert np.array_equal(oracle, mask)
    assert np.array_equal(winding(paths, mask.shape) != 0, mask)
    assert are_rectilinear(paths)


def winding(paths, shape):
    """How often the paths run around each pixel, counted one way."""
    turns = np.zeros((shape[0], shape[1] + 1), int)
    for path in paths:
        for (x, y), (x_next, y_next) in zip(path.tolist(), np.roll(path, -1, 0).tolist(), strict=True):
            if x == x_next:
                turns[min(y, y_next) : max(y, y_next), x] += np.sign(y_next - y)
    return np.cumsum(turns, axis=1)[:, :-1]


@given(MASKS)
def test_one_path_for_a_part_and_one_for_a_hole(mask):
    # opened, so that no two pixels touch by a corner alone
    mask = ndimage.binary_opening(np.pad(mask, 1), np.ones((2, 2)))
    diagonal = (mask[1:, 1:] == mask[:-1, :-1]) & (mask[1:, :-1] == mask[:-1, 1:]) & (mask[1:, 1:] != mask[1:, :-1])
    if not diagonal.any():
        parts, holes = ndimage.label(mask)[1], ndimage.label(~mask)[1] - 1
        assert len(mask_outlines(mask)) == parts + holes


def test_a_square():
    mask = np.zeros((5, 6), bool)
    mask[1:3, 2:6] = True
    (path,) = mask_outlines(mask)
    assert {tuple(corner) for corner in path.tolist()} == {(2, 1), (6, 1), (6, 3), (2, 3)}
    assert not are_rectilinear([path + np.array([0.5, 0])])
    assert not are_rectilinear([path[:3]])
    assert np.array_equal(filled_outlines([path - np.array([3, 0])], (2, 2)), [[False, False], [True, True]])
