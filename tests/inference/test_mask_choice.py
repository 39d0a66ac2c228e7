"""Choosing among boxes, against torchvision's non-maximum suppression."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import nms

from sam2_core.inference.mask_choice import chosen_masks, distinct

sides = st.integers(0, 20)
boxes = st.tuples(sides, sides, sides, sides).map(lambda one: (one[0], one[1], one[0] + one[2], one[1] + one[3]))


@given(st.lists(st.tuples(boxes, st.integers(0, 6)), max_size=12), st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]))
def test_distinct_is_non_maximum_suppression(some: list[tuple[tuple[int, ...], int]], overlap: float) -> None:
    corners = np.array([box for box, _ in some], np.float32).reshape(-1, 4)
    scores = np.array([score / 6 for _, score in some], np.float32)

    expected = nms(torch.from_numpy(corners), torch.from_numpy(scores), overlap)

    np.testing.assert_array_equal(distinct(corners, scores, overlap), expected.numpy())


def test_nothing_is_chosen_of_nothing() -> None:
    nothing = np.zeros(0)
    for crop_overlap in (None, 0.7):
        chosen = chosen_masks(
            np.zeros((0, 4)),
            nothing,
            nothing,
            np.zeros((0, 4)),
            pred_iou_thresh=0.5,
            stability_score_thresh=0.5,
            box_nms_thresh=0.7,
            crop_nms_thresh=crop_overlap,
        )
        assert chosen.tolist() == []
