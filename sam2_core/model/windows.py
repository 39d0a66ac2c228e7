"""Tokens of an image laid out window by window.

Hiera attends within windows in most blocks. Instead of cutting windows out before each attention and putting them back
after it, tokens are kept in window order: the layout changes only where the window size does. A pooling by two inside
windows of w x w tokens gives the windows of w/2 x w/2 of the next grid, so the first stages never move a token.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class WindowLayout(NamedTuple):
    """How the tokens of a (height, width) grid lie in memory.

    Attributes
    ----------
    height, width : int
        Grid of real tokens.
    window : int
        Side of a window in tokens; 0 for plain rows of the whole grid.
    """

    height: int
    width: int
    window: int

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width of the grid filled up to whole windows."""
        if self.window == 0:
            return self.height, self.width
        return -(-self.height // self.window) * self.window, -(-self.width // self.window) * self.window

    @property
    def has_padding(self) -> bool:
        """Whether some tokens are filling."""
        return self.padded != (self.height, self.width)

    @property
    def window_shape(self) -> tuple[int, int]:
        """Height and width of the groups that tokens come in."""
        return (self.window, self.window) if self.window else (self.height, self.width)

    @property
    def windows(self) -> int:
        """Number of groups in one image."""
        height, width = self.padded
        return height * width // (self.window_shape[0] * self.window_shape[1])

    def pooled(self, stride: tuple[int, int]) -> WindowLayout:
        """Return the layout after pooling inside the windows."""
        return WindowLayout(self.height // stride[0], self.width // stride[1], self.window // stride[0])

    def can_pool(self, stride: tuple[int, int]) -> bool:
        """Whether pooling by ``stride`` stays inside windows."""
        rows, columns = self.window_shape
        square = stride[0] == stride[1] or self.window == 0
        return square and rows % stride[0] == 0 and columns % stride[1] == 0


def to_windows(grid: Tensor, window: int) -> tuple[Tensor, WindowLayout]:
    """Lay a grid of tokens (B, H, W, C) out in windows: (B * windows, window * window, C), zeros as filling."""
    batch, height, width, channels = grid.shape
    layout = WindowLayout(height, width, window)
    if window == 0:
        return grid.reshape(batch, height * width, channels), layout
    rows, columns = layout.padded
    if layout.has_padding:
        grid = F.pad(grid, (0, 0, 0, columns - width, 0, rows - height))
    tokens = grid.view(batch, rows // window, window, columns // window, window, channels).transpose(2, 3)
    return tokens.reshape(-1, window * window, channels), layout


def from_windows(tokens: Tensor, layout: WindowLayout) -> Tensor:
    """Put tokens back into their grid: (B, H, W, C); filling is dropped. Inverse of :func:`to_windows`."""
    channels = tokens.shape[-1]
    if layout.window == 0:
        return tokens.view(-1, layout.height, layout.width, channels)
    rows, columns = layout.padded
    side = layout.window
    grid = tokens.view(-1, rows // side, columns // side, side, side, channels).transpose(2, 3)
    grid = grid.reshape(-1, rows, columns, channels)
    return grid[:, : layout.height, : layout.width]


def change_window(tokens: Tensor, layout: WindowLayout, window: int) -> tuple[Tensor, WindowLayout]:
    """Lay tokens out again for another window size; nothing happens where it is the same."""
    if layout.window == window:
        return tokens, layout
    return to_windows(from_windows(tokens, layout), window)


def pool_windows(tokens: Tensor, layout: WindowLayout, stride: tuple[int, int]) -> Tensor:
    """Take the maximum over ``stride`` blocks inside each window of ``tokens`` (G, window * window, C)."""
    rows, columns = layout.window_shape
    groups, _, channels = tokens.shape
    grid = tokens.view(groups, rows, columns, channels)
    # Elementwise maxima of strided views run along the channels; a pooling or reduction kernel does not.
    pooled: Tensor | None = None
    for y in range(stride[0]):
        for x in range(stride[1]):
            part = grid[:, y :: stride[0], x :: stride[1]]
            pooled = part if pooled is None else torch.maximum(pooled, part)
    return grid.flatten(1, 2) if pooled is None else pooled.reshape(groups, -1, channels)


def without_filling(height: int, width: int, window: int) -> int:
    """Return the window side to lay out a grid with so that there is no filling: ``window``, or 0 for plain rows."""
    return 0 if WindowLayout(height, width, window).has_padding else window


def fill_windows(tokens: Tensor, layout: WindowLayout, filling: Tensor) -> Tensor:
    """Cut windows out of tokens that lie in rows, in one pass.

    Parameters
    ----------
    tokens : Tensor (B, height * width, C)
    layout : WindowLayout
        Of the result.
    filling : Tensor (C,)
        Put where a window reaches beyond the grid.

    Returns
    -------
    Tensor (B * windows, window * window, C)
    """
    side, channels = layout.window, tokens.shape[-1]
    grid = tokens.unflatten(1, (layout.height, layout.width))
    down, across = layout.height // side, layout.width // side  # windows without filling
    below, beside = layout.height % side, layout.width % side
    windows = tokens.new_empty(len(tokens), layout.padded[0] // side, layout.padded[1] // side, side, side, channels)
    places = windows.transpose(2, 3)  # as the grid: rows of windows, rows, columns of windows, columns
    upper, lower = grid[:, : down * side], grid[:, down * side :]
    for place, part in (
        (places[:, :down], upper.unflatten(1, (down, side))),
        (places[:, down:, :below], lower.unsqueeze(1)),
    ):
        if not part.numel():
            continue
        place[:, :, :, :across] = part[:, :, :, : across * side].unflatten(3, (across, side))
        if beside:
            place[:, :, :, across, :beside] = part[:, :, :, across * side :]
    if below:
        places[:, down, below:] = filling
    if beside:
        places[:, :, :, across, beside:] = filling
    return windows.view(-1, side * side, channels)
