"""Hiera, the image encoder's trunk (Ryali et al. 2023, arXiv:2306.00989; in SAM 2: arXiv:2408.00714, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_core.errors import ConfigError
from sam2_core.model.block_attention import attend
from sam2_core.model.layers import GELU, MLP, DropPath, add_onto
from sam2_core.model.position_encoding import TableCache
from sam2_core.model.windows import (
    WindowLayout,
    change_window,
    fill_windows,
    from_windows,
    pool_windows,
    to_windows,
    without_filling,
)


class PatchEmbed(nn.Module):
    """Overlapping patches of the image as tokens: (B, 3, H, W) to (B, H / 4, W / 4, C)."""

    def __init__(
        self,
        kernel_size: Sequence[int] = (7, 7),
        stride: Sequence[int] = (4, 4),
        padding: Sequence[int] = (3, 3),
        in_chans: int = 3,
        embed_dim: int = 768,
    ) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_chans, embed_dim, tuple(kernel_size), tuple(stride), tuple(padding))  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Embed an image."""
        patches: Tensor = self.proj(x.contiguous(memory_format=torch.channels_last))
        return patches.permute(0, 2, 3, 1)


class MultiScaleAttention(nn.Module):
    """Self-attention inside the groups of a layout, the queries pooled where a stage begins."""

    def __init__(self, dim: int, dim_out: int, num_heads: int, q_stride: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.dim = dim
        self.dim_out = dim_out
        self.num_heads = num_heads
        self.q_stride = q_stride
        self.qkv = nn.Linear(dim, dim_out * 3)
        self.proj = nn.Linear(dim_out, dim_out)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        heads = [t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for t in (query, key, value)]
        return attend(*heads).transpose(1, 2).flatten(2)

    def forward(self, x: Tensor, layout: WindowLayout, window: int) -> Tensor:
        """Attend over tokens ``x`` (B * windows, T, C) of ``layout``.

        Each token sees its group of the layout. Where tokens lie in rows and ``window`` is not 0, it sees its window
        of that side, in which what lies beyond the image acts as a token of zeros (as trained).
        """
        qkv = self.qkv(x)
        if layout.window == window:
            return self.proj(self._pooled_attention(qkv, layout))
        # Only attention sees the filling: a token of zeros has the bias as query, key and value.
        cut = WindowLayout(layout.height, layout.width, window)
        found = self._pooled_attention(fill_windows(qkv, cut, self.qkv.bias), cut)
        kept = from_windows(found, cut if self.q_stride is None else cut.pooled(self.q_stride))
        return self.proj(kept.flatten(1, 2))

    def _pooled_attention(self, qkv: Tensor, layout: WindowLayout) -> Tensor:
        query, key, value = qkv.chunk(3, dim=-1)
        if self.q_stride is not None:
            query = pool_windows(query.contiguous(), layout, self.q_stride)
        return self._attend(query, key, value)


class MultiScaleBlock(nn.Module):
    """A transformer block of Hiera; the first of a stage pools its queries and widens its channels."""

    def __init__(
        self,
        dim: int,
        dim_out: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
        norm_layer: Any = "LayerNorm",
        q_stride: Sequence[int] | None = None,
        act_layer: type[nn.Module] = GELU,
        window_size: int = 0,
    ) -> None:
        super().__init__()
        if isinstance(norm_layer, str):
            norm_layer = partial(getattr(nn, norm_layer), eps=1e-6)
        self.dim = dim
        self.dim_out = dim_out
        self.window_size = window_size
        self.q_stride = None if q_stride is None else (int(q_stride[0]), int(q_stride[1]))
        self.norm1 = norm_layer(dim)
        self.attn = MultiScaleAttention(dim, dim_out, num_heads, self.q_stride)
        self.drop_path = DropPath(drop_path)
        self.norm2 = norm_layer(dim_out)
        self.mlp = MLP(dim_out, int(dim_out * mlp_ratio), dim_out, num_layers=2, activation=act_layer)
        if dim != dim_out:
            self.proj = nn.Linear(dim, dim_out)

    def forward(self, x: Tensor, layout: WindowLayout) -> tuple[Tensor, WindowLayout]:
        """Pass tokens ``x`` (B * windows, T, C) of ``layout`` on; the result has its own layout."""
        window = self.window_size
        x, layout = change_window(x, layout, without_filling(layout.height, layout.width, window))
        if self.q_stride is not None and not layout.can_pool(self.q_stride):
            window = 0
            x, layout = change_window(x, layout, window)
        images = x.shape[0] // layout.windows
        normed = self.norm1(x)
        if self.dim != self.dim_out:
            x = self.proj(normed)
        if self.q_stride is not None:
            x = pool_windows(x, layout, self.q_stride)
        x = add_onto(self.drop_path(self.attn(normed, layout, window), images), x)
        if self.q_stride is not None:
            layout = layout.pooled(self.q_stride)
        return add_onto(self.drop_path(self.mlp(self.norm2(x)), images), x), layout


class Hiera(nn.Module):
    """Hierarchical vision transformer with windowed and global attention.

    Parameters are the official ones. ``window_spec`` names the window side of each stage; the first block of a stage
    still uses the windows of the stage before. ``global_att_blocks`` attend over the whole image.

    Parameters
    ----------
    embed_dim, num_heads : int
        Channels and heads of the first stage; multiplied by ``dim_mul`` and ``head_mul`` at each later one.
    drop_path_rate : float
        Stochastic depth of the last block, rising linearly from 0.
    q_pool : int
        Number of stages that begin by pooling, with ``q_stride``.
    stages : sequence of int
        Blocks of each stage.
    window_pos_embed_bkg_spatial_size : (int, int)
        Size of the background position embedding (Bolya et al. 2023, arXiv:2311.05613), resized to the image.
    return_interm_layers : bool
        Return the features of every stage rather than the last alone.

    Raises
    ------
    ConfigError
        Options that contradict each other.
    """

    def __init__(
        self,
        embed_dim: int = 96,
        num_heads: int = 1,
        drop_path_rate: float = 0.0,
        q_pool: int = 3,
        q_stride: Sequence[int] = (2, 2),
        stages: Sequence[int] = (2, 3, 16, 3),
        dim_mul: float = 2.0,
        head_mul: float = 2.0,
        window_pos_embed_bkg_spatial_size: Sequence[int] = (14, 14),
        window_spec: Sequence[int] = (8, 4, 14, 7),
        global_att_blocks: Sequence[int] | None = (12, 16, 20),
        weights_path: str | None = None,
        return_interm_layers: bool = True,
    ) -> None:
        super().__init__()
        if len(stages) != len(window_spec):
            raise ConfigError(f"stages and window_spec differ in length: {len(stages)} and {len(window_spec)}")
        if not 0 <= q_pool < len(stages):
            raise ConfigError(f"q_pool must be between 0 and {len(stages) - 1} for {len(stages)} stages, got {q_pool}")
        if weights_path is not None:
            raise ConfigError("weights_path is not read by the network: load the weights with sam2_core.checkpoints")
        depth = sum(stages)
        self.window_spec = tuple(window_spec)
        self.q_stride = (int(q_stride[0]), int(q_stride[1]))
        self.stage_ends = [sum(stages[: i + 1]) - 1 for i in range(len(stages))]
        self.q_pool_blocks = [end + 1 for end in self.stage_ends[:-1]][:q_pool]
        self.global_att_blocks = tuple(global_att_blocks or ())
        self.return_interm_layers = return_interm_layers

        self.patch_embed = PatchEmbed(embed_dim=embed_dim)
        self.window_pos_embed_bkg_spatial_size = tuple(window_pos_embed_bkg_spatial_size)
        self.pos_embed = nn.Parameter(torch.zeros(1, embed_dim, *self.window_pos_embed_bkg_spatial_size))
        side = self.window_spec[0]
        self.pos_embed_window = nn.Parameter(torch.zeros(1, embed_dim, side, side))
        self._position_cache = TableCache(4)

        rates = [drop_path_rate * index / max(depth - 1, 1) for index in range(depth)]
        blocks: list[MultiScaleBlock] = []
        stage = 0
        for index in range(depth):
            window = 0 if index in self.global_att_blocks else self.window_spec[stage]
            width = embed_dim
            if index - 1 in self.stage_ends:
                width = int(embed_dim * dim_mul)
                num_heads = int(num_heads * head_mul)
                stage += 1
            pooled = index in self.q_pool_blocks
            blocks.append(
                MultiScaleBlock(
                    dim=embed_dim,
                    dim_out=width,
                    num_heads=num_heads,
                    drop_path=rates[index],
                    q_stride=self.q_stride if pooled else None,
                    window_size=window,
                )
            )
            embed_dim = width
        self.blocks = nn.ModuleList(blocks)
        ends = self.stage_ends[::-1] if return_interm_layers else self.stage_ends[-1:]
        self.channel_list = [blocks[end].dim_out for end in ends]

    def _positions(self, height: int, width: int) -> Tensor:
        """Return the position embedding of a token grid, laid out as the first stage's tokens: (windows, T, C)."""
        side = self.window_spec[0]

        def make() -> Tensor:
            background = F.interpolate(self.pos_embed.float(), size=(height, width), mode="bicubic")
            repeats = (-(-height // side), -(-width // side))
            tiles = self.pos_embed_window.float().tile(1, 1, *repeats)[..., :height, :width]
            window = without_filling(height, width, side)
            return to_windows((background + tiles).permute(0, 2, 3, 1), window)[0].to(self.pos_embed.dtype)

        learned = (self.pos_embed, self.pos_embed_window)
        trains = torch.is_grad_enabled() and any(p.requires_grad for p in learned)
        if trains or torch.compiler.is_compiling() or any(p.is_inference() for p in learned):
            return make()
        key = (height, width, *((p.data_ptr(), p._version, p.dtype, p.device) for p in learned))
        table: Tensor = self._position_cache.get(key, make)
        return table

    def forward(self, x: Tensor) -> list[Tensor]:
        """Encode images.

        Parameters
        ----------
        x : Tensor (B, 3, H, W)
            Normalised images; H and W multiples of 32.

        Returns
        -------
        list of Tensor (B, C_s, H / stride_s, W / stride_s)
            Features of the stages, finest first, channels-last in memory.
        """
        grid = self.patch_embed(x)
        tokens, layout = to_windows(grid, without_filling(grid.shape[1], grid.shape[2], self.window_spec[0]))
        positions = self._positions(layout.height, layout.width)
        tokens = (tokens.view(-1, *positions.shape) + positions).view_as(tokens)
        outputs: list[Tensor] = []
        for index, block in enumerate(self.blocks):
            tokens, layout = block(tokens, layout)
            is_last = index == self.stage_ends[-1]
            if is_last or (self.return_interm_layers and index in self.stage_ends):
                outputs.append(from_windows(tokens, layout).permute(0, 3, 1, 2))
        return outputs

    def get_num_layers(self) -> int:
        """Return the number of blocks."""
        return len(self.blocks)

    def get_layer_id(self, layer_name: str) -> int:
        """Return the depth a parameter belongs to, for layer-wise learning-rate decay (0: embeddings)."""
        if "rel_pos" in layer_name:
            return self.get_num_layers() + 1
        if "pos_embed" in layer_name or "patch_embed" in layer_name:
            return 0
        if "blocks" in layer_name:
            return int(layer_name.split("blocks")[1].split(".")[1]) + 1
        return self.get_num_layers() + 1
