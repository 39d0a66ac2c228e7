"""Position encodings: sine maps, random Fourier features, rotary tables.

All are computed in float32 and cast to what they are added to; tables are kept per size, device and dtype. Nothing is
moved to a device at construction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor, nn

from sam2_core.errors import ConfigError


class TableCache:
    """A few computed tables, kept until more than ``limit`` sizes were asked for."""

    def __init__(self, limit: int = 16) -> None:
        self._tables: dict[Hashable, Any] = {}
        self._limit = limit

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return the table of ``key``, computing it with ``make`` when it is not there."""
        if torch.compiler.is_compiling():
            return make()
        table = self._tables.get(key)
        if table is None:
            # Tables outlive the call: one made in inference mode could not be used in training later.
            with torch.inference_mode(False), torch.no_grad():
                table = make()
            if len(self._tables) >= self._limit:
                self._tables.pop(next(iter(self._tables)))
            self._tables[key] = table
        return table

    def __deepcopy__(self, memo: dict[int, Any]) -> TableCache:
        return TableCache(self._limit)

    def __getstate__(self) -> dict[str, Any]:
        return {"_tables": {}, "_limit": self._limit}


class PositionEmbeddingSine(nn.Module):
    """Sine and cosine encodings of a grid's rows and columns (Carion et al. 2020, DETR, arXiv:2005.12872).

    Parameters
    ----------
    num_pos_feats : int
        Channels of the encoding; half for y, half for x.
    temperature : float
        Ratio between the longest and the shortest wavelength.
    normalize : bool
        Scale positions so that the last row and column are at ``scale``.
    scale : float, optional
        Range of normalised positions, radians; 2 pi by default.
    warmup_cache, image_size, strides
        Accepted for configurations written for the official code; tables are made when first used.
    """

    def __init__(
        self,
        num_pos_feats: int,
        temperature: float = 10000,
        normalize: bool = True,
        scale: float | None = None,
        warmup_cache: bool = True,
        image_size: int = 1024,
        strides: tuple[int, ...] = (4, 8, 16, 32),
    ) -> None:
        super().__init__()
        if num_pos_feats % 4:
            raise ConfigError(
                f"num_pos_feats must be a multiple of 4 (sine and cosine of x and y), got {num_pos_feats}"
            )
        if scale is not None and not normalize:
            raise ConfigError("scale is only used with normalize=True")
        self.num_pos_feats = num_pos_feats // 2
        self.temperature = temperature
        self.normalize = normalize
        self.scale = 2 * math.pi if scale is None else scale
        self._cache = TableCache()

    def _waves(self, positions: Tensor) -> Tensor:
        """Encode positions (N,) as interleaved sines and cosines (N, num_pos_feats)."""
        channel = torch.arange(self.num_pos_feats, dtype=torch.float32, device=positions.device)
        wavelength = self.temperature ** (2 * (channel // 2) / self.num_pos_feats)
        angle = positions[:, None] / wavelength
        return torch.stack((angle[:, 0::2].sin(), angle[:, 1::2].cos()), dim=2).flatten(1)

    def _axis(self, length: int, device: torch.device) -> Tensor:
        positions = torch.arange(1, length + 1, dtype=torch.float32, device=device)
        if self.normalize:
            positions = positions / (positions[-1] + 1e-6) * self.scale
        return self._waves(positions)

    def grid(self, height: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Return the encoding of a whole grid, (1, C, height, width), channels-last in memory."""

        def make() -> Tensor:
            rows = self._axis(height, device)[:, None, :].expand(-1, width, -1)
            columns = self._axis(width, device)[None, :, :].expand(height, -1, -1)
            return torch.cat((rows, columns), dim=2).to(dtype)[None].permute(0, 3, 1, 2)

        table: Tensor = self._cache.get((height, width, device, dtype), make)
        return table

    @torch.no_grad()
    def encode_boxes(self, x: Tensor, y: Tensor, w: Tensor, h: Tensor) -> Tensor:
        """Encode boxes: centres ``x``, ``y`` (N,) in [0, 1] as waves, then ``h``, ``w`` (N,) as given: (N, C + 2)."""
        return torch.cat((self._waves(y * self.scale), self._waves(x * self.scale), h[:, None], w[:, None]), dim=1)

    encode = encode_boxes

    @torch.no_grad()
    def encode_points(self, x: Tensor, y: Tensor, labels: Tensor) -> Tensor:
        """Encode points ``x``, ``y`` (B, N) in [0, 1] followed by their ``labels`` (B, N): (B, N, C + 1)."""
        waves = [self._waves(p.flatten() * self.scale).view(*p.shape, -1) for p in (y, x)]
        return torch.cat((*waves, labels[:, :, None]), dim=2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the encoding of the grid of ``x`` (B, C', H, W): (B, C, H, W), without copies along B."""
        table = self.grid(x.shape[-2], x.shape[-1], x.device, x.dtype)
        return table.expand(x.shape[0], -1, -1, -1)


class PositionEmbeddingRandom(nn.Module):
    """Random Fourier features of positions (Tancik et al. 2020, arXiv:2006.10739), as in SAM.

    The matrix stays float32 whatever the model's dtype: its product with a position is an angle, and a rounded
    frequency would move every point.

    Parameters
    ----------
    num_pos_feats : int
        Number of random frequencies; the encoding has twice as many channels.
    scale : float, optional
        Standard deviation of the frequencies, 1 by default.
    """

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, num_pos_feats: int = 64, scale: float | None = None) -> None:
        super().__init__()
        sigma = 1.0 if scale is None or scale <= 0.0 else scale
        self.register_buffer("positional_encoding_gaussian_matrix", sigma * torch.randn((2, num_pos_feats)))
        self._cache = TableCache()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> PositionEmbeddingRandom:
        exact = self.positional_encoding_gaussian_matrix
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        moved = self.positional_encoding_gaussian_matrix
        if moved.dtype != torch.float32 and not moved.is_meta and not exact.is_meta:
            self.positional_encoding_gaussian_matrix = exact.to(device=moved.device, dtype=torch.float32)
        return self

    def _encode(self, positions: Tensor) -> Tensor:
        """Encode positions (..., 2), (x, y) in [0, 1], as (..., C)."""
        angle = 2 * math.pi * ((2 * positions - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat((angle.sin(), angle.cos()), dim=-1)

    def forward(self, size: tuple[int, int]) -> Tensor:
        """Encode the pixel centres of a grid of ``size`` (H, W): (C, H, W), float32."""
        height, width = size
        matrix = self.positional_encoding_gaussian_matrix

        def make() -> Tensor:
            rows = (torch.arange(height, device=matrix.device, dtype=torch.float32) + 0.5) / height
            columns = (torch.arange(width, device=matrix.device, dtype=torch.float32) + 0.5) / width
            y, x = torch.meshgrid(rows, columns, indexing="ij")
            return self._encode(torch.stack((x, y), dim=-1)).permute(2, 0, 1)

        if torch.compiler.is_compiling() or matrix.is_inference():
            return make()
        table: Tensor = self._cache.get((height, width, matrix.data_ptr(), matrix._version), make)
        return table

    def forward_with_coords(self, coords_input: Tensor, image_size: tuple[int, int]) -> Tensor:
        """Encode points (B, N, 2), (x, y) in pixels of an image of ``image_size`` (H, W): (B, N, C), float32."""
        size = torch.tensor([image_size[1], image_size[0]], dtype=torch.float32, device=coords_input.device)
        return self._encode(coords_input.to(torch.float32) / size)


def get_1d_sine_pe(pos_inds: Tensor, dim: int, temperature: float = 10000) -> Tensor:
    """Encode positions on a line as sines, then cosines (Vaswani et al. 2017, section 3.5).

    Parameters
    ----------
    pos_inds : Tensor (...)
        Positions.
    dim : int
        Channels of the encoding.

    Returns
    -------
    Tensor (..., dim)
    """
    half = dim // 2
    channel = torch.arange(half, dtype=torch.float32, device=pos_inds.device)
    angle = pos_inds.unsqueeze(-1) / temperature ** (2 * (channel // 2) / half)
    return torch.cat((angle.sin(), angle.cos()), dim=-1)


def rotary_table(dim: int, height: int, width: int, theta: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return cosines and sines of axial rotary encodings (Heo et al. 2024, arXiv:2403.13298, section 3.1).

    The first half of the channel pairs turns with x, the second with y.

    Parameters
    ----------
    dim : int
        Channels of a head; a multiple of 4.
    height, width : int
        Grid of tokens, in row-major order.
    theta : float
        Base of the geometric series of frequencies.

    Returns
    -------
    cosine, sine : Tensor (height * width, dim // 2), float32
    """
    frequency = theta ** -(torch.arange(0, dim, 4, device=device)[: dim // 4].float() / dim)
    columns = torch.arange(width, device=device, dtype=torch.float32).repeat(height)
    rows = torch.arange(height, device=device, dtype=torch.float32).repeat_interleave(width)
    angle = torch.cat((torch.outer(columns, frequency), torch.outer(rows, frequency)), dim=-1)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn neighbouring channel pairs of ``x`` (..., N, D) by the angles of a rotary table (N, D / 2)."""
    pairs = x.unflatten(-1, (-1, 2)).to(cosine.dtype)
    even, odd = pairs[..., 0], pairs[..., 1]
    turned = torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), dim=-1)
    return turned.flatten(-2).to(x.dtype)


def rotate_halves(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Do what :func:`rotate` does to ``x`` (..., N, D) whose first halves of pairs all come before the second ones.

    In this order whole runs of channels are worked on, several times faster than every other channel.
    """
    first, second = x.to(cosine.dtype).chunk(2, dim=-1)
    turned = (first * cosine).addcmul(second, sine, value=-1), (first * sine).addcmul(second, cosine)
    return torch.cat(turned, dim=-1).to(x.dtype)
