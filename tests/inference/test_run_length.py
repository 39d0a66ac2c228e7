from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco_masks

from sam2_core.errors import InvalidInputError
from sam2_core.inference.crops import batched_mask_to_box
from sam2_core.inference.run_length import (
    area_from_rle,
    bounding_box,
    coco_encode_rle,
    column_run_bounds,
    counts_from_bounds,
    mask_from_counts,
    mask_in_box,
    mask_to_rle_pytorch,
    rle_to_mask,
)

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12))


@given(MASKS)
@settings(deadline=None)
def test_both_ways_give_the_same_mask(mask: np.ndarray) -> None:
    (rle,) = mask_to_rle_pytorch(torch.from_numpy(mask.copy())[None])

    assert np.array_equal(rle_to_mask(rle), mask)
    assert area_from_rle(rle) == mask.sum()
    # zero-length runs nowhere but at the very beginning
    assert 0 not in rle["counts"][1:]


@given(MASKS, st.tuples(*[st.integers(0, 2)] * 4))
@settings(deadline=None)
def test_a_box_around_a_mask_is_drawn_by_itself(mask: np.ndarray, room: tuple[int, ...]) -> None:
    (rle,) = mask_to_rle_pytorch(torch.from_numpy(mask.copy())[None])
    x0, y0, x1, y1 = batched_mask_to_box(torch.from_numpy(mask.copy())).tolist()
    height, width = mask.shape
    box = max(0, x0 - room[0]), max(0, y0 - room[1]), min(width - 1, x1 + room[2]), min(height - 1, y1 + room[3])

    inside = mask_in_box(rle, box)

    np.testing.assert_array_equal(inside, mask[box[1] : box[3] + 1, box[0] : box[2] + 1])


@given(MASKS)
@settings(deadline=None)
def test_cocos_own_tools_read_it(mask: np.ndarray) -> None:
    (rle,) = mask_to_rle_pytorch(torch.from_numpy(mask.copy())[None])
    compressed = coco_encode_rle(rle)

    assert isinstance(compressed["counts"], str)
    assert np.array_equal(coco_masks.decode(compressed).astype(bool), mask)
    assert coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode() == compressed["counts"]


@given(MASKS, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
@settings(deadline=None)
def test_a_part_is_encoded_where_it_lies(mask: np.ndarray, x: int, y: int, below: int) -> None:
    whole = np.zeros((y + mask.shape[0] + below, x + mask.shape[1] + 1), dtype=bool)
    whole[y : y + mask.shape[0], x : x + mask.shape[1]] = mask

    bounds = column_run_bounds(np.ascontiguousarray(mask.T), whole.shape[0], x, y)

    assert np.array_equal(mask_from_counts(counts_from_bounds(bounds, whole.size), whole.shape), whole)
    assert bounding_box(bounds, whole.shape[0]) == batched_mask_to_box(torch.from_numpy(whole)).tolist()


def test_known_counts() -> None:
    masks = torch.tensor([[[0, 1], [1, 1]], [[1, 0], [0, 0]], [[0, 0], [0, 0]], [[1, 1], [1, 1]]]).bool()

    assert [rle["counts"] for rle in mask_to_rle_pytorch(masks)] == [[1, 3], [0, 1, 3], [4], [0, 4]]


@pytest.mark.parametrize("counts", [[1, 2], [5, -1], [], [2, 3]])
def test_counts_that_do_not_fill_the_mask_are_refused(counts: list[int]) -> None:
    with pytest.raises(InvalidInputError, match="counts sum to"):
        rle_to_mask({"size": [2, 2], "counts": counts})
