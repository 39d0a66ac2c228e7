"""Components of one array against scipy, for arrays as they come: views, read backwards, empty."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.kernels import mask_components
from tests.kernels.mask_drawings import EIGHT_CONNECTED, mask_batches


@settings(max_examples=60, deadline=None)
@given(masks=mask_batches(most_side=40), way=st.sampled_from(["as it is", "transposed", "backwards", "read-only"]))
def test_the_components_that_scipy_finds(masks: np.ndarray, way: str) -> None:
    for (mask,) in masks:
        given_mask = {"transposed": mask.T, "backwards": mask[::-1, ::-1]}.get(way, mask)
        given_mask.flags.writeable = way != "read-only"
        labels, areas = mask_components(given_mask)
        expected, count = scipy.ndimage.label(given_mask, EIGHT_CONNECTED)
        assert labels.shape == areas.shape == given_mask.shape
        assert np.array_equal(labels > 0, given_mask)
        pairs = np.unique(np.stack([expected[given_mask], labels[given_mask]]), axis=1)
        assert pairs.shape[1] == count == len(np.unique(labels[given_mask]))
        sizes = np.bincount(expected.ravel())
        sizes[0] = 0
        assert np.array_equal(areas, sizes[expected])


def test_pieces_that_meet_at_a_corner_are_one() -> None:
    labels, areas = mask_components(np.eye(3, dtype=bool))
    assert len(np.unique(labels)) == 2
    assert areas.max() == 3


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (np.zeros((3, 3), np.uint8), InvalidTypeError, "got uint8"),
        ([[True]], InvalidTypeError, "got list"),
        (np.zeros((1, 3, 3), bool), InvalidInputError, r"\(1, 3, 3\)"),
    ],
)
def test_other_than_a_mask_is_refused(mask: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        mask_components(mask)
