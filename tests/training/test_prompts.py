"""Prompts drawn from masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.errors import InvalidInputError
from sam2_core.inference.mask_depth import innermost
from sam2_core.training import prompts


def masks() -> torch.Tensor:
    truth = torch.zeros(2, 40, 50, dtype=torch.bool)
    truth[0, 10:21, 5:26] = True
    truth[1, 30:40, 40:50] = True
    return truth


def test_a_central_click_is_the_innermost_pixel() -> None:
    assert innermost(masks()[0].numpy())[1] == 15
    with pytest.raises(InvalidInputError, match="empty"):
        innermost(np.zeros((4, 4), dtype=bool))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), central=st.floats(0, 1))
def test_clicks_are_inside(seed: int, central: float) -> None:
    truth = masks()
    points = prompts.clicks(np.random.default_rng(seed), truth, central=central)
    assert points.coords.shape == (2, 1, 2)
    assert (points.labels == 1).all()
    for mask, (x, y) in zip(truth, points.coords[:, 0].int().tolist(), strict=True):
        assert mask[y, x]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_boxes_are_near_and_in_the_image(seed: int) -> None:
    points = prompts.boxes(np.random.default_rng(seed), masks(), noise=0.1)
    assert points.labels.tolist() == [[2, 3], [2, 3]]
    exact = torch.tensor([[[5.0, 10], [26, 21]], [[40, 30], [50, 40]]])
    assert ((points.coords - exact).abs() <= 2.2).all()
    assert (points.coords >= 0).all()
    assert (points.coords[1, 1] <= torch.tensor([50.0, 40.0])).all()


def test_corrections_are_in_the_larger_error() -> None:
    truth = masks()
    said = truth.clone()
    said[0, 10:21, 5:12] = False
    said[1, 0:20, 0:20] = True
    points = prompts.corrections(np.random.default_rng(0), truth, said)
    (x0, y0), (x1, y1) = points.coords[:, 0].int().tolist()
    assert points.labels[:, 0].tolist() == [1, 0]
    assert truth[0, y0, x0]
    assert not said[0, y0, x0]
    assert said[1, y1, x1]
    assert not truth[1, y1, x1]
    both = prompts.joined(points, points)
    assert both.coords.shape == (2, 2, 2)
    right = prompts.corrections(np.random.default_rng(0), truth, truth)
    for mask, (x, y), label in zip(truth, right.coords[:, 0].int().tolist(), right.labels[:, 0], strict=True):
        assert bool(mask[y, x]) == bool(label)
