"""Attention between tokens, and between tokens and an image."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2_core.errors import ConfigError, InvalidInputError
from sam2_core.model.block_attention import attend, attend_in_blocks, products_are_faster
from sam2_core.model.position_encoding import TableCache, rotary_table, rotate_halves


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) with an optional narrower inside.

    Parameters
    ----------
    embedding_dim : int
        Channels of queries and of the result.
    num_heads : int
        Number of heads; divides ``embedding_dim / downsample_rate``.
    downsample_rate : int
        How much narrower the projected tokens are.
    dropout : float
        Dropout of the attention weights in training.
    kv_in_dim : int, optional
        Channels of keys and values; ``embedding_dim`` by default.
    """

    def __init__(
        self,
        embedding_dim: int,
        num_heads: int,
        downsample_rate: int = 1,
        dropout: float = 0.0,
        kv_in_dim: int | None = None,
    ) -> None:
        super().__init__()
        self.embedding_dim = embedding_dim
        self.kv_in_dim = embedding_dim if kv_in_dim is None else kv_in_dim
        self.internal_dim = embedding_dim // downsample_rate
        self.num_heads = num_heads
        if self.internal_dim % num_heads:
            raise ConfigError(
                f"num_heads must divide {self.internal_dim} (embedding_dim / downsample_rate), got {num_heads}"
            )
        self.q_proj = nn.Linear(embedding_dim, self.internal_dim)
        self.k_proj = nn.Linear(self.kv_in_dim, self.internal_dim)
        self.v_proj = nn.Linear(self.kv_in_dim, self.internal_dim)
        self.out_proj = nn.Linear(self.internal_dim, embedding_dim)
        self.dropout_p = dropout

    @property
    def _dropout(self) -> float:
        return self.dropout_p if self.training else 0.0

    def _split(self, x: Tensor) -> Tensor:
        """(B, N, C) to (B, heads, N, C / heads)."""
        heads: Tensor = x.unflatten(-1, (self.num_heads, -1))
        return heads.transpose(1, 2)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        out = attend(query, key, value, self._dropout)
        return self.out_proj(out.transpose(1, 2).flatten(2))

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend from ``q`` (B, N, C) to ``k`` and ``v`` (B, M, C_kv): (B, N, C)."""
        return self._attend(self._split(self.q_proj(q)), self._split(self.k_proj(k)), self._split(self.v_proj(v)))


class TokenImageAttention(Attention):
    """Attention between a handful of tokens and the many pixels of an image, in either direction.

    Projecting every pixel costs most. With few tokens the projections are moved to their side, which is exact:
    ``(W_q t) . (W_k x) = (W_k^T W_q t) . x``, and sums over pixels are taken before ``W_v`` is applied. What all pixels
    would add alike to a softmax drops out. One image may serve many sets of tokens.
    """

    def _head_weight(self, layer: nn.Linear) -> tuple[Tensor, Tensor]:
        """Return a projection's weight (heads, C / heads, C_in) and bias (heads, C / heads)."""
        return layer.weight.unflatten(0, (self.num_heads, -1)), layer.bias.unflatten(0, (self.num_heads, -1))

    def _few(self, tokens: Tensor) -> bool:
        # Beyond this the moved projections cost more than plain ones. A compiled graph keeps one form for all sizes.
        return torch.compiler.is_compiling() or self.num_heads * tokens.shape[1] < self.embedding_dim

    def _expand(self, image: Tensor, count: int) -> Tensor:
        return image.expand(count, -1, -1)

    @property
    def _scale(self) -> float:
        return 1.0 / math.sqrt(self.internal_dim // self.num_heads)

    def tokens_to_image(self, tokens: Tensor, pixels_with_position: Tensor, pixels: Tensor) -> Tensor:
        """Attend from tokens to an image.

        Parameters
        ----------
        tokens : Tensor (B, N, C)
            With their positions added.
        pixels_with_position, pixels : Tensor (B or 1, P, C)
            Keys and values.

        Returns
        -------
        Tensor (B, N, C)
        """
        batch, count, channels = tokens.shape
        if not self._few(tokens):
            keys, values = (self._expand(t, batch) for t in (pixels_with_position, pixels))
            return super().forward(tokens, keys, values)
        key_weight, _ = self._head_weight(self.k_proj)
        value_weight, value_bias = self._head_weight(self.v_proj)
        query = self._split(self.q_proj(tokens) * self._scale)
        probe = (query @ key_weight).flatten(1, 2)
        weight = self._times_pixels(probe, pixels_with_position).softmax(dim=-1)
        if self._dropout:
            weight = F.dropout(weight, self._dropout)
        shared = pixels.shape[0] == 1 and batch > 1
        gathered = (weight.flatten(0, 1) @ pixels[0]) if shared else weight @ pixels
        gathered = gathered.view(batch, self.num_heads, count, channels)
        out = gathered @ value_weight.transpose(1, 2) + value_bias[:, None]
        return self.out_proj(out.transpose(1, 2).flatten(2))

    def image_to_tokens(
        self, pixels_with_position: Tensor, tokens_with_position: Tensor, tokens: Tensor, pixels: Tensor
    ) -> Tensor:
        """Attend from an image to tokens, and add what is found to the image.

        Parameters
        ----------
        pixels_with_position : Tensor (B or 1, P, C)
            Queries.
        tokens_with_position, tokens : Tensor (B, N, C)
            Keys and values.
        pixels : Tensor (B or 1, P, C)
            What the result is added to.

        Returns
        -------
        Tensor (B, P, C)
        """
        batch, count, _ = tokens.shape
        if not self._few(tokens):
            query = self._expand(pixels_with_position, batch)
            return pixels + super().forward(query, tokens_with_position, tokens)
        query_weight, query_bias = self._head_weight(self.q_proj)
        key = self._split(self.k_proj(tokens_with_position) * self._scale)
        value = self._split(self.v_proj(tokens))
        probe = (key @ query_weight).flatten(1, 2)
        offset = (key @ query_bias[..., None]).flatten(1, 2)
        score = self._times_pixels(probe, pixels_with_position) + offset
        # Tokens lie along the second last axis, so the short softmax still runs along the pixels.
        weight = score.unflatten(1, (self.num_heads, count)).softmax(dim=2)
        if self._dropout:
            weight = F.dropout(weight, self._dropout)
        out_weight = self.out_proj.weight.unflatten(1, (self.num_heads, -1)).permute(1, 2, 0)
        answer = (value @ out_weight).flatten(1, 2)
        if self._dropout:
            pixels = pixels + self.out_proj.bias
        else:
            # A pixel's weights sum to one in each head, so its shares of the bias sum to the bias.
            answer = answer + self.out_proj.bias / self.num_heads
        return torch.baddbmm(self._expand(pixels, batch), weight.flatten(1, 2).transpose(1, 2), answer)

    def _times_pixels(self, probe: Tensor, pixels: Tensor) -> Tensor:
        """Multiply ``probe`` (B, K, C) with ``pixels`` (B or 1, P, C): (B, K, P)."""
        if pixels.shape[0] == 1 and probe.shape[0] > 1:
            return (probe.flatten(0, 1) @ pixels[0].t()).view(*probe.shape[:2], -1)
        return probe @ pixels.transpose(1, 2)


class RoPEAttention(Attention):
    """Attention with axial rotary position encodings (Heo et al. 2024, arXiv:2403.13298), in real numbers.

    Parameters
    ----------
    rope_theta : float
        Base of the frequencies.
    rope_k_repeat : bool
        Keys are several grids one after another, each turned like the queries' grid.
    feat_sizes : (int, int)
        Width and height of the queries' grid where the call names none.
    """

    def __init__(
        self,
        embedding_dim: int,
        num_heads: int,
        downsample_rate: int = 1,
        dropout: float = 0.0,
        kv_in_dim: int | None = None,
        *,
        rope_theta: float = 10000.0,
        rope_k_repeat: bool = False,
        feat_sizes: tuple[int, int] = (64, 64),
    ) -> None:
        super().__init__(embedding_dim, num_heads, downsample_rate, dropout, kv_in_dim)
        self.rope_theta = float(rope_theta)
        self.rope_k_repeat = rope_k_repeat
        self.feat_sizes = (int(feat_sizes[0]), int(feat_sizes[1]))
        self._cache = TableCache(4)

    def _table(self, grid: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
        head = self.internal_dim // self.num_heads
        table: tuple[Tensor, Tensor] = self._cache.get(
            (*grid, device), lambda: rotary_table(head, *grid, self.rope_theta, device)
        )
        return table

    def _default_grid(self, tokens: int) -> tuple[int, int]:
        width, height = self.feat_sizes
        if width * height == tokens:
            return height, width
        side = math.isqrt(tokens)
        if side * side != tokens:
            raise InvalidInputError(f"{tokens} tokens are no square grid: pass grid=(height, width)")
        return side, side

    def forward(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        num_k_exclude_rope: int = 0,
        grid: tuple[int, int] | None = None,
    ) -> Tensor:
        """Attend from a grid of tokens to one or more grids of tokens.

        Parameters
        ----------
        q : Tensor (B, N, C)
            Tokens of a grid in row-major order.
        k, v : Tensor (B, M, C_kv)
            Tokens of whole grids, then ``num_k_exclude_rope`` tokens without a place.
        num_k_exclude_rope : int
            Number of last keys that are not turned.
        grid : (int, int), optional
            Height and width of the queries' grid; ``feat_sizes`` or a square by default.

        Returns
        -------
        Tensor (B, N, C)

        Raises
        ------
        InvalidInputError
            The keys are not whole grids.
        """
        query, key = self._halved(self.q_proj, q), self._halved(self.k_proj, k)
        tokens = query.shape[-2]
        cosine, sine = self._table(self._default_grid(tokens) if grid is None else grid, q.device)
        query = rotate_halves(query, cosine, sine)
        placed = key.shape[-2] - num_k_exclude_rope
        if placed:
            if placed % tokens or (placed != tokens and not self.rope_k_repeat):
                raise InvalidInputError(
                    f"{placed} keys with a place do not fit the {tokens} queries: expected "
                    + ("a multiple" if self.rope_k_repeat else "as many (rope_k_repeat is off)")
                )
            grids = key[:, :, :placed].unflatten(2, (placed // tokens, tokens))
            turned = rotate_halves(grids, cosine, sine).flatten(2, 3)
            key = torch.cat((turned, key[:, :, placed:]), dim=2) if num_k_exclude_rope else turned
        if self._attends_to_raw(query, v):
            return self._attend_to_raw(query, key, v)
        return self._attend(query, key, self._split(self.v_proj(v)))

    def _halved(self, projection: nn.Linear, x: Tensor) -> Tensor:
        """Project to heads with the first halves of all channel pairs before the second: (B, heads, N, C / heads).

        Queries and keys reordered alike have the same products. The weights are reordered, which costs next to nothing.
        """
        weight = projection.weight.unflatten(0, (self.num_heads, -1, 2)).transpose(1, 2).flatten(0, 2)
        bias = projection.bias.unflatten(0, (self.num_heads, -1, 2)).transpose(1, 2).flatten()
        return self._split(F.linear(x, weight, bias))

    def _attends_to_raw(self, query: Tensor, v: Tensor) -> bool:
        """Whether attention to what values are projected from is possible and faster."""
        return (
            self.num_heads == 1
            and 2 * v.shape[-1] <= self.internal_dim
            and query.device.type == "cpu"
            and (query.dtype == v.dtype == torch.float32 or products_are_faster(query, v))
            and not self._dropout
            and not torch.compiler.is_compiling()
            and not (torch.is_grad_enabled() and (query.requires_grad or v.requires_grad))
        )

    def _attend_to_raw(self, query: Tensor, key: Tensor, v: Tensor) -> Tensor:
        """Attend with one head to ``v`` (B, M, C_kv) before it is projected.

        A query's weights sum to one, so the projection of values, and the one of the result after it, can be applied
        to the sums: as one matrix, to fewer tokens, and the sums are of narrower values. Exact up to rounding.
        """
        found = attend_in_blocks(query[:, 0], key[:, 0], v, 1.0 / math.sqrt(self.internal_dim))
        weight = self.out_proj.weight @ self.v_proj.weight
        bias = torch.addmv(self.out_proj.bias, self.out_proj.weight, self.v_proj.bias)
        return F.linear(found, weight, bias)
