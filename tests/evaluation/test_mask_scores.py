"""J and F equal their definitions, written out pixel by pixel, to the last digit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import dilation, disk

from sam2_core.evaluation.mask_scores import Border, contour_accuracy, region_similarity


def blobs(seed: int, size: tuple[int, int]) -> NDArray[np.bool_]:
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=size), 3)
    return field > np.quantile(field, 0.7)


def slow_border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    border = np.zeros_like(mask)
    height, width = mask.shape
    for y in range(height):
        for x in range(width):
            for v, u in ((y, x + 1), (y + 1, x), (y + 1, x + 1)):
                if v < height and u < width:
                    border[y, x] |= mask[y, x] != mask[v, u]
    return border


def slow_f(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    near = disk(int(np.ceil(0.008 * np.linalg.norm(mask.shape))))
    ours, real = slow_border(mask), slow_border(truth)
    precision: Any = (ours & dilation(real, near)).sum() / ours.sum()
    recall: Any = (real & dilation(ours, near)).sum() / real.sum()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


@pytest.mark.parametrize("size", [(40, 60), (61, 37), (200, 180)])
@pytest.mark.parametrize("seed", range(3))
def test_as_defined(size: tuple[int, int], seed: int) -> None:
    mask, truth = blobs(seed, size), blobs(seed, size) ^ (blobs(seed + 50, size) & blobs(seed + 90, size))
    assert np.array_equal(Border.of(mask).pixels, slow_border(mask))
    assert contour_accuracy(mask, truth) == slow_f(mask, truth) < 1
    assert region_similarity(mask, truth) == (mask & truth).sum() / (mask | truth).sum()


def test_empty_and_full() -> None:
    empty, some, full = np.zeros((9, 9), bool), np.eye(9, dtype=bool), np.ones((9, 9), bool)
    for score in (region_similarity, contour_accuracy):
        assert [score(empty, empty), score(some, some), score(some, empty), score(empty, some)] == [1, 1, 0, 0]
    # a mask that fills the frame has no border
    assert contour_accuracy(full, empty) == 1
    assert region_similarity(full, empty) == 0


def test_borders_that_are_nowhere_near() -> None:
    one, other = np.zeros((2, 80, 80), bool)
    one[5:10, 5:10] = other[60:70, 60:70] = True
    assert contour_accuracy(one, other) == 0


@pytest.mark.parametrize("seed", range(20))
def test_an_object_that_fills_little_of_its_frame(seed: int) -> None:
    """Only its surroundings are looked at: that changes nothing, at the frame's borders neither."""
    random = np.random.default_rng(seed)
    size = (90, 70)
    mask, truth = np.zeros(size, bool), np.zeros(size, bool)
    y, x = (int(random.integers(0, length - 12)) for length in size)
    if seed % 2:
        y, x = (y, size[1] - 12) if seed % 4 == 1 else (0, x)
    mask[y : y + 12, x : x + 12] = blobs(seed, (12, 12))
    truth[y : y + 12, x : x + 12] = blobs(seed + 50, (12, 12))
    assert contour_accuracy(mask, truth) == slow_f(mask, truth)
