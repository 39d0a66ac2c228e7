"""Masks that are hard to label, and the comparison with scipy, for the tests of this folder."""

from __future__ import annotations

import numpy as np
import scipy.ndimage
from hypothesis import strategies as st

EIGHT_CONNECTED = np.ones((3, 3))


def _spiral(height: int, width: int) -> np.ndarray:
    """One path of one pixel's width from the corner inwards: the longest chain a mask can hold."""
    mask = np.zeros((height, width), bool)
    row, column, (down, right) = 0, 0, (0, 1)
    mask[0, 0] = True

    def free(row: int, column: int) -> bool:
        return 0 <= row < height and 0 <= column < width and not mask[row, column]

    for _ in range(height * width):
        ahead, beyond = (row + down, column + right), (row + 2 * down, column + 2 * right)
        blocked = not free(*ahead) or (0 <= beyond[0] < height and 0 <= beyond[1] < width and mask[beyond])
        if blocked:
            down, right = right, -down
            ahead, beyond = (row + down, column + right), (row + 2 * down, column + 2 * right)
            if not free(*ahead) or (0 <= beyond[0] < height and 0 <= beyond[1] < width and mask[beyond]):
                break
        row, column = ahead
        mask[row, column] = True
    return mask


def _comb(height: int, width: int) -> np.ndarray:
    """Teeth that only the last row joins: every tooth is a component of its own until the very end."""
    mask = np.zeros((height, width), bool)
    mask[:, ::2] = True
    mask[-1] = True
    return mask


def _diagonals(height: int, width: int) -> np.ndarray:
    """Joined by corners only."""
    rows, columns = np.mgrid[:height, :width]
    return ((rows + columns) % 4 == 0) | ((rows - columns) % 6 == 0)


DRAWINGS = {
    "empty": lambda height, width: np.zeros((height, width), bool),
    "full": lambda height, width: np.ones((height, width), bool),
    "checkerboard": lambda height, width: np.indices((height, width)).sum(0) % 2 == 0,
    "lone pixels": lambda height, width: (np.indices((height, width)) % 2 == 0).all(0),
    "lone pixels, odd": lambda height, width: (np.indices((height, width)) % 2 == 1).all(0),
    "stripes": lambda height, width: np.indices((height, width))[0] % 2 == 0,
    "comb": _comb,
    "comb upside down": lambda height, width: _comb(height, width)[::-1],
    "comb sideways": lambda height, width: _comb(width, height).T,
    "spiral": _spiral,
    "diagonals": _diagonals,
    "noise": lambda height, width: np.random.default_rng(height * 1000 + width).random((height, width)) < 0.45,
    "sparse noise": lambda height, width: np.random.default_rng(height + width).random((height, width)) < 0.1,
    "dense noise": lambda height, width: np.random.default_rng(height + width).random((height, width)) < 0.8,
}


def draw(name: str, height: int, width: int) -> np.ndarray:
    """Return the (H, W) bool drawing."""
    return DRAWINGS[name](height, width).copy()


@st.composite
def mask_batches(draw_value: st.DrawFn, most_side: int = 80) -> np.ndarray:
    """(B, 1, H, W) bool: noise of any density at any magnification, drawings, and mixtures of both."""
    height, width = draw_value(st.integers(1, most_side)), draw_value(st.integers(1, most_side))
    masks = []
    for _ in range(draw_value(st.integers(1, 4))):
        random = np.random.default_rng(draw_value(st.integers(0, 2**32 - 1)))
        zoom = draw_value(st.integers(1, 5))
        noise = random.random((-(-height // zoom), -(-width // zoom))) < draw_value(st.floats(0, 1))
        mask = noise.repeat(zoom, 0).repeat(zoom, 1)[:height, :width]
        name = draw_value(st.sampled_from(["", *DRAWINGS]))
        if name:
            mask = mask ^ draw(name, height, width) if draw_value(st.booleans()) else draw(name, height, width)
        masks.append(mask[None])
    return np.stack(masks)


def assert_same_components(masks: np.ndarray, labels: np.ndarray, areas: np.ndarray) -> None:
    """Compare labels and areas of a (B, 1, H, W) batch with scipy: the same partition, the same areas."""
    assert labels.dtype == areas.dtype == np.int32
    assert labels.shape == areas.shape == masks.shape
    for (mask,), (label_map,), (area_map,) in zip(masks != 0, labels, areas, strict=True):
        expected, count = scipy.ndimage.label(mask, EIGHT_CONNECTED)
        assert np.array_equal(label_map > 0, mask)
        assert (label_map >= 0).all()
        pairs = np.unique(np.stack([expected[mask], label_map[mask]]), axis=1)
        # as many pairs as labels on either side: one to one
        assert pairs.shape[1] == count == len(np.unique(label_map[mask]))
        sizes = np.bincount(expected.ravel())
        sizes[0] = 0
        assert np.array_equal(area_map, sizes[expected])
