"""Hole filling, island removal and small regions against scipy and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import skimage.morphology
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.kernels import (
    clean_mask_scores,
    fill_holes_in_mask_scores,
    remove_small_regions,
    remove_sprinkles,
)
from tests.kernels.mask_drawings import EIGHT_CONNECTED, draw, mask_batches


def _areas(regions: np.ndarray) -> np.ndarray:
    labels, _ = scipy.ndimage.label(regions, EIGHT_CONNECTED)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return sizes[labels]


def _scores(masks: np.ndarray) -> torch.Tensor:
    noise = np.random.default_rng(0).random(masks.shape).astype(np.float32) * 5
    return torch.from_numpy(np.where(masks, noise + 1, -noise))


@settings(max_examples=60, deadline=None)
@given(masks=mask_batches(most_side=40), max_area=st.floats(0.5, 60))
def test_fills_the_holes_that_scipy_finds(masks: np.ndarray, max_area: float) -> None:
    scores = _scores(masks)
    before = scores.clone()
    filled = fill_holes_in_mask_scores(scores, max_area)
    for score, result in zip(scores.numpy(), filled.numpy(), strict=True):
        areas = _areas(score[0] <= 0)
        expected = np.where((areas > 0) & (areas <= max_area), np.float32(0.1), score[0])
        assert np.array_equal(result[0], expected)
    assert torch.equal(scores, before)


@settings(max_examples=60, deadline=None)
@given(masks=mask_batches(most_side=40), holes=st.integers(0, 30), islands=st.integers(0, 30))
def test_cleans_what_scipy_finds(masks: np.ndarray, holes: int, islands: int) -> None:
    scores = _scores(masks).reshape(1, -1, *masks.shape[2:])
    cleaned = clean_mask_scores(scores, mask_threshold=0.5, max_hole_area=holes, max_sprinkle_area=islands)
    assert cleaned.dtype == scores.dtype
    for score, result in zip(scores[0].numpy(), cleaned[0].numpy(), strict=True):
        hole_areas, island_areas = _areas(score <= 0.5), _areas(score > 0.5)
        expected = np.where((hole_areas > 0) & (hole_areas <= holes), np.float32(10.5), score)
        expected = np.where((island_areas > 0) & (island_areas <= islands), np.float32(-9.5), expected)
        assert np.array_equal(result, expected)


@settings(max_examples=60, deadline=None)
@given(masks=mask_batches(most_side=40), area=st.integers(1, 60))
def test_small_regions_are_those_of_scikit_image(masks: np.ndarray, area: int) -> None:
    mask = masks[0, 0]
    largest = area - 1  # scikit-image counts areas up to and including this
    without_islands = skimage.morphology.remove_small_objects(mask, max_size=largest, connectivity=2)
    without_holes = skimage.morphology.remove_small_holes(mask, max_size=largest, connectivity=2)
    result, changed = remove_small_regions(mask, area, "holes")
    assert np.array_equal(result, without_holes)
    assert changed == (not np.array_equal(mask, without_holes))
    result, changed = remove_small_regions(mask, area, "islands")
    assert changed == (not np.array_equal(mask, without_islands))
    if without_islands.any() or not mask.any():
        assert np.array_equal(result, without_islands)
    else:
        # all islands are small: the largest one stays
        labels, count = scipy.ndimage.label(mask, EIGHT_CONNECTED)
        sizes = np.bincount(labels.ravel())[1:]
        kept = np.unique(labels[result])
        assert len(kept) == 1
        assert np.count_nonzero(result) == sizes[kept[0] - 1] == sizes.max()
        assert count >= 1


def test_of_equal_islands_the_first_stays() -> None:
    mask = np.array([[0, 0, 1], [0, 0, 0], [1, 0, 1]], bool)
    result, changed = remove_small_regions(mask, 5, "islands")
    assert changed
    assert result.tolist() == [[False, False, True], [False] * 3, [False] * 3]


def test_dtype_and_identity_are_kept() -> None:
    scores = _scores(draw("noise", 20, 30)[None, None]).to(torch.bfloat16)
    assert fill_holes_in_mask_scores(scores, 8).dtype == torch.bfloat16
    assert remove_sprinkles(scores, 8).dtype == torch.bfloat16
    assert clean_mask_scores(scores) is scores
    assert fill_holes_in_mask_scores(scores, float("inf")).min() >= 0


def test_removing_sprinkles_leaves_large_islands() -> None:
    scores = torch.full((1, 2, 5, 9), -1.0)
    scores[..., 1:4, 1:4] = 2.0
    scores[..., 2, 7] = 3.0
    cleaned = remove_sprinkles(scores, 1)
    assert (cleaned[..., 2, 7] == -10).all()
    assert (cleaned > 0).sum() == 18


def test_runs_under_compile() -> None:
    scores = _scores(draw("noise", 20, 30)[None, None])
    compiled = torch.compile(fill_holes_in_mask_scores, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(scores, 4), fill_holes_in_mask_scores(scores, 4))


def test_bad_input() -> None:
    scores = torch.zeros(1, 1, 4, 4)
    with pytest.raises(InvalidInputError, match="above 0"):
        fill_holes_in_mask_scores(scores, 0)
    with pytest.raises(InvalidTypeError, match="bool"):
        fill_holes_in_mask_scores(scores > 0, 3)
    with pytest.raises(InvalidTypeError, match="ndarray"):
        clean_mask_scores(np.zeros((1, 1, 4, 4)))
    with pytest.raises(InvalidInputError, match="4, 4"):
        clean_mask_scores(scores[0, 0])
    with pytest.raises(InvalidInputError, match="lakes"):
        remove_small_regions(np.zeros((3, 3), bool), 1, "lakes")
    with pytest.raises(InvalidInputError, match="shape"):
        remove_small_regions(np.zeros((1, 3, 3), bool), 1, "holes")
    with pytest.raises(InvalidTypeError, match="float64"):
        remove_small_regions(np.zeros((3, 3)), 1, "holes")
