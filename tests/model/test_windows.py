"""The window layout is the plain partition of a padded grid, whatever the sizes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sam2_core.model.windows import (
    WindowLayout,
    change_window,
    fill_windows,
    from_windows,
    pool_windows,
    to_windows,
    without_filling,
)

sides = st.integers(1, 23)
windows = st.sampled_from([0, 1, 2, 4, 7, 8, 14])


def grid_of(height: int, width: int, batch: int = 2, channels: int = 3) -> Tensor:
    """(B, H, W, C), every value different and none zero."""
    return torch.arange(1.0, batch * height * width * channels + 1).view(batch, height, width, channels)


def naive_windows(grid: Tensor, side: int) -> Tensor:
    """Cut windows out one by one: (B * windows, side * side, C)."""
    batch, height, width, _ = grid.shape
    padded = F.pad(grid, (0, 0, 0, -width % side, 0, -height % side))
    return torch.stack(
        [
            padded[image, top : top + side, left : left + side].flatten(0, 1)
            for image in range(batch)
            for top in range(0, height, side)
            for left in range(0, width, side)
        ]
    )


@given(sides, sides, windows.filter(bool))
@settings(deadline=None, max_examples=60)
def test_layout_is_the_naive_partition(height: int, width: int, window: int) -> None:
    grid = grid_of(height, width)

    tokens, layout = to_windows(grid, window)

    assert torch.equal(tokens, naive_windows(grid, window))
    assert layout.windows * 2 == len(tokens)
    assert torch.equal(from_windows(tokens, layout), grid)


@given(sides, sides, windows, windows)
@settings(deadline=None, max_examples=60)
def test_changing_windows_moves_tokens_and_renews_the_filling(height: int, width: int, first: int, second: int) -> None:
    grid = grid_of(height, width)
    tokens, layout = to_windows(grid, first)
    tokens = tokens.where(tokens != 0, torch.tensor(-5.0))

    changed, target = change_window(tokens, layout, second)

    assert target == WindowLayout(height, width, second)
    if first != second:
        assert torch.equal(changed, to_windows(grid, second)[0])


@given(sides, sides, windows.filter(bool))
@settings(deadline=None, max_examples=60)
def test_windows_cut_out_of_rows_have_the_filling_that_is_given(height: int, width: int, window: int) -> None:
    grid = grid_of(height, width)
    filling = torch.tensor([-1.0, -2.0, -3.0])
    expected = naive_windows(grid, window)

    cut = fill_windows(grid.flatten(1, 2), WindowLayout(height, width, window), filling)

    assert torch.equal(cut, expected.where(expected != 0, filling))


@given(sides, sides, windows)
@settings(deadline=None, max_examples=60)
def test_windows_are_given_up_where_they_would_have_filling(height: int, width: int, window: int) -> None:
    fits = window != 0 and height % window == 0 and width % window == 0

    assert without_filling(height, width, window) == (window if fits else 0)


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([2, 4, 8, 14]))
@settings(deadline=None, max_examples=60)
def test_pooling_inside_windows_is_pooling_the_grid(half_height: int, half_width: int, window: int) -> None:
    grid = grid_of(2 * half_height, 2 * half_width)
    expected = F.max_pool2d(grid.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    tokens, layout = to_windows(grid, window)

    pooled = pool_windows(tokens, layout, (2, 2))

    assert layout.can_pool((2, 2))
    assert torch.equal(from_windows(pooled, layout.pooled((2, 2))), expected)


@pytest.mark.parametrize("window", [3, 7])
def test_odd_windows_cannot_be_pooled(window: int) -> None:
    assert not WindowLayout(8, 8, window).can_pool((2, 2))
