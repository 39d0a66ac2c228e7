"""Axial rotary encodings as complex numbers, as the official functions have them (arXiv:2403.13298)."""

from __future__ import annotations

import torch
from torch import Tensor

from sam2_core.errors import InvalidInputError
from sam2_core.model.position_encoding import rotary_table, rotate


def init_t_xy(end_x: int, end_y: int) -> tuple[Tensor, Tensor]:
    """Return x and y of the tokens of a grid of ``end_x`` columns and ``end_y`` rows: (end_x * end_y,) float32 each."""
    columns = torch.arange(end_x, dtype=torch.float32).repeat(end_y)
    rows = torch.arange(end_y, dtype=torch.float32).repeat_interleave(end_x)
    return columns, rows


def compute_axial_cis(dim: int, end_x: int, end_y: int, theta: float = 10000.0) -> Tensor:
    """Return the rotations of a grid's tokens: (end_x * end_y, dim // 2) complex64, x in the first half, y after it."""
    return torch.complex(*rotary_table(dim, end_y, end_x, theta, torch.device("cpu")))


def reshape_for_broadcast(freqs_cis: Tensor, x: Tensor) -> Tensor:
    """Give (N, C) rotations leading axes of length 1, to go with ``x`` (..., N, C).

    Raises
    ------
    InvalidInputError
        If the last two axes differ.
    """
    if freqs_cis.shape != x.shape[-2:]:
        raise InvalidInputError(f"expected rotations of the shape {tuple(x.shape[-2:])}, got {tuple(freqs_cis.shape)}")
    return freqs_cis.view(*[1] * (x.ndim - 2), *freqs_cis.shape)


def apply_rotary_enc(xq: Tensor, xk: Tensor, freqs_cis: Tensor, repeat_freqs_k: bool = False) -> tuple[Tensor, Tensor]:
    """Turn queries and keys.

    Parameters
    ----------
    xq : Tensor (B, heads, N, C)
    xk : Tensor (B, heads, M, C)
        M is N, or with ``repeat_freqs_k`` a multiple of it; or 0.
    freqs_cis : Tensor (N, C // 2)
        As from :func:`compute_axial_cis`.
    repeat_freqs_k : bool
        Keys are several grids one after another.

    Returns
    -------
    queries, keys : Tensor
        Turned, in the dtypes they came in.
    """
    cosine, sine = freqs_cis.real, freqs_cis.imag
    query = rotate(xq, cosine, sine)
    if xk.shape[-2] == 0:
        return query, xk
    grids = xk.shape[-2] // xq.shape[-2] if repeat_freqs_k else 1
    return query, rotate(xk, cosine.repeat(grids, 1), sine.repeat(grids, 1))
