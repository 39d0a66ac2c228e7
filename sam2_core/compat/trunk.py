"""Hiera's blocks and windows as the official code calls them: on grids of tokens (B, H, W, C)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from sam2_core.errors import ConfigError
from sam2_core.model import hiera
from sam2_core.model.windows import WindowLayout, from_windows, to_windows


def window_partition(x: Tensor, window_size: int) -> tuple[Tensor, tuple[int, int]]:
    """Cut a grid (B, H, W, C) into windows.

    Returns
    -------
    windows : Tensor
        (B * windows, window_size, window_size, C), the grid filled up with zeros below and to the right.
    (int, int)
        Height and width after filling up.
    """
    tokens, layout = to_windows(x, window_size)
    return tokens.view(-1, window_size, window_size, x.shape[-1]), layout.padded


def window_unpartition(windows: Tensor, window_size: int, pad_hw: tuple[int, int], hw: tuple[int, int]) -> Tensor:
    """Put windows back into their grid (B, H, W, C), without what was filled up; inverse of :func:`window_partition`.

    ``pad_hw`` follows from the other two and is not needed.
    """
    return from_windows(windows.flatten(1, 2), WindowLayout(hw[0], hw[1], window_size))


def do_pool(
    x: Tensor, pool: Callable[[Tensor], Tensor] | None, norm: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """Apply a pooling layer to a grid (B, H, W, C), then a norm over C."""
    if pool is None:
        return x
    pooled = pool(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    return pooled if norm is None else norm(pooled)


class MultiScaleAttention(hiera.MultiScaleAttention):
    """Attention over a grid (B, H, W, C), the queries pooled by a ``MaxPool2d`` where one is given."""

    def __init__(self, dim: int, dim_out: int, num_heads: int, q_pool: nn.Module | None = None) -> None:
        super().__init__(dim, dim_out, num_heads, _pool_stride(q_pool))
        self.q_pool = q_pool

    def forward(self, x: Tensor, *args: Any) -> Tensor:
        """Attend over a grid (B, H, W, C); the result's grid is the pooled one."""
        tokens, layout = to_windows(x, 0)
        out = super().forward(tokens, layout, window=0)
        return from_windows(out, layout if self.q_stride is None else layout.pooled(self.q_stride))


class MultiScaleBlock(hiera.MultiScaleBlock):
    """A block of Hiera over a grid (B, H, W, C)."""

    def forward(self, x: Tensor, *args: Any) -> Any:
        """Pass a grid (B, H, W, C) on."""
        tokens, layout = to_windows(x, self.window_size)
        out, layout = super().forward(tokens, layout)
        return from_windows(out, layout)


def _pool_stride(pool: nn.Module | None) -> tuple[int, int] | None:
    if pool is None:
        return None
    if not isinstance(pool, nn.MaxPool2d) or pool.kernel_size != pool.stride:
        raise ConfigError(f"q_pool has to be a MaxPool2d whose stride is its kernel size, got {pool}")
    stride = pool.stride
    return (stride, stride) if isinstance(stride, int) else (int(stride[0]), int(stride[1]))
