"""Masks on a frame: made when asked for, where they are, to the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.inference.frame_masks import FrameMasks, box_around
from sam2_core.model.sam2_base import SAM2Base

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


def frame_masks(logits: torch.Tensor, frame_size: tuple[int, int], **more: Any) -> FrameMasks:
    count = len(logits)
    return FrameMasks(0, list(range(count)), frame_size, logits, torch.zeros(count), torch.zeros(count), **more)


def few_above(count: int, size: tuple[int, int], seed: int) -> torch.Tensor:
    """Logits of which few are above 0, and some exactly 0."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, 1, *size, generator=generator) - 1.5
    return torch.where(torch.rand(logits.shape, generator=generator) < 0.1, 0.0, logits)


@given(low=SIZES, frame=SIZES, seed=st.integers(0, 2**31), excludes=st.booleans())
@settings(max_examples=80, deadline=None)
def test_a_part_is_cut_out_of_the_whole(
    low: tuple[int, int], frame: tuple[int, int], seed: int, excludes: bool
) -> None:
    constraint = SAM2Base.apply_non_overlapping_constraints if excludes else None
    masks = frame_masks(few_above(3, low, seed), frame, constraint=constraint)
    whole = frame_masks(masks.low_res_logits, frame, constraint=constraint).logits

    for row in range(3):
        window, logits = masks.part(row)

        assert torch.equal(logits, whole[row, 0, window.rows, window.columns])
        outside = whole[row, 0].clone()
        outside[window.rows, window.columns] = -1
        assert not (outside > 0).any()
    assert torch.equal(masks.masks, whole[:, 0] > 0)


@given(low=SIZES, frame=SIZES, seed=st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_logits_are_scaled_as_torch_does_it(low: tuple[int, int], frame: tuple[int, int], seed: int) -> None:
    logits = few_above(2, low, seed)
    expected = torch.nn.functional.interpolate(logits, frame, mode="bilinear", align_corners=False)

    np.testing.assert_allclose(frame_masks(logits, frame).logits.numpy(), expected.numpy(), rtol=1e-5, atol=1e-5)


@given(low=SIZES, frame=SIZES, seed=st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_boxes_are_where_masks_changed(low: tuple[int, int], frame: tuple[int, int], seed: int) -> None:
    before, now = few_above(3, low, seed), few_above(3, low, seed + 1)
    now[2] = before[2]
    masks = frame_masks(now, frame, replaced={0: None, 1: before[1:2], 2: before[2:3]})
    earlier = frame_masks(before, frame).masks

    assert tuple(masks.boxes[0].tolist()) == box_around(masks.masks[0])
    assert tuple(masks.boxes[1].tolist()) == box_around(masks.masks[1] ^ earlier[1])
    assert masks.boxes[2].tolist() == [0, 0, 0, 0]
    assert not frame_masks(now, frame).boxes.any(), "nothing was computed"


def test_full_size_is_made_only_when_asked_for() -> None:
    low = torch.full((50, 1, 16, 16), -1.0)
    low[:, 0, 3, 4] = 1.0
    masks = frame_masks(low, (4096, 4096))

    assert all(window.area < 1000 * 1000 for window, _ in map(masks.part, range(50)))
    assert masks.boxes.shape == (50, 4)
    assert "logits" not in vars(masks)


@pytest.mark.parametrize("count", [0, 2])
def test_no_objects_and_no_masks(count: int) -> None:
    masks = frame_masks(torch.full((count, 1, 8, 8), -1024.0), (20, 30))

    assert masks.masks.shape == (count, 20, 30)
    assert masks.logits.shape == (count, 1, 20, 30)
    assert not masks.masks.any()
    assert not masks.boxes.any()
    assert (masks.logits == -1024).all()


@given(seed=st.integers(0, 2**31), share=st.floats(0, 0.2))
@settings(max_examples=30, deadline=None)
def test_a_box_is_what_numpy_finds(seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((7, 9)) < share
    y, x = np.nonzero(mask)
    expected = (x.min(), y.min(), x.max() + 1, y.max() + 1) if len(y) else (0, 0, 0, 0)

    assert box_around(torch.from_numpy(mask)) == expected
