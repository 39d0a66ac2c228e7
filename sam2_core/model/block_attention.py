"""Softmax attention built of matrix products, for what PyTorch's fused one does slowly or not at all on CPUs."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

#: Queries whose scores are held at a time where attention is computed block by block: measured fastest of 32 to 512.
QUERY_BLOCK = 256
# Fewer queries or keys than that are left to the fused attention.
_FEWEST = 16
# Scores of a head that are held at once, and of all heads together.
_OF_A_HEAD, _OF_ALL = 1 << 16, 1 << 24


def attend(query: Tensor, key: Tensor, value: Tensor, dropout: float = 0.0) -> Tensor:
    """Softmax attention, by whatever is fast on this machine.

    CPUs that multiply bf16 with AVX-512 but have no AMX are slow at the fused attention in bf16 (torch 2.13, AMD Zen 5:
    650 ms for 4,096 queries and 16,400 keys of 256 channels, as in fp32; with products 150 ms). Scores are rounded to
    bf16 here, which the fused attention does not do.

    Parameters
    ----------
    query, key, value : Tensor (B, heads, N, C), (B, heads, M, C), (B, heads, M, C)
    dropout : float

    Returns
    -------
    Tensor (B, heads, N, C)
    """
    if (
        dropout
        or not products_are_faster(query, key, value)
        or min(query.shape[2], key.shape[2]) < _FEWEST
        or not query.shape[:2] == key.shape[:2] == value.shape[:2]
    ):
        return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
    scale = 1.0 / math.sqrt(query.shape[-1])
    scores = query.shape[2] * key.shape[2]
    if scores > _OF_A_HEAD:
        found = attend_in_blocks(query.flatten(0, 1), key.flatten(0, 1), value.flatten(0, 1), scale)
        return found.unflatten(0, query.shape[:2])
    together = max(1, _OF_ALL // (scores * query.shape[1]))
    parts = [
        torch.matmul(torch.softmax(torch.matmul(q * scale, k.transpose(-1, -2)), dim=-1), v)
        for q, k, v in zip(*(tensor.split(together) for tensor in (query, key, value)), strict=True)
    ]
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def attend_in_blocks(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Softmax attention for values of any width, some queries at a time; without gradients.

    PyTorch's fused attention for CPUs takes values as wide as keys only. This one is built of matrix products, which
    for narrow values (64 beside 256) takes two thirds of the time that the fused one takes for widened values.

    Parameters
    ----------
    query, key, value : Tensor (B, N, C), (B, M, C), (B, M, D)
    scale : float
        Factor of the scores.

    Returns
    -------
    Tensor (B, N, D)
    """
    batch, count, _ = query.shape
    found = value.new_empty(batch, count, value.shape[-1])
    scores = query.new_empty(min(count, QUERY_BLOCK), key.shape[1])
    scaled = query * scale
    for image in range(batch):
        columns = key[image].t()
        for start in range(0, count, QUERY_BLOCK):
            rows = scaled[image, start : start + QUERY_BLOCK]
            block = scores[: len(rows)]
            torch.mm(rows, columns, out=block)
            torch.softmax(block, dim=-1, out=block)
            torch.mm(block, value[image], out=found[image, start : start + QUERY_BLOCK])
    return found


def products_are_faster(*tensors: Tensor) -> bool:
    """Whether the fused attention is slow for such tensors, and gradients are not wanted."""
    return (
        not torch.compiler.is_compiling()
        and all(tensor.device.type == "cpu" and tensor.dtype == torch.bfloat16 for tensor in tensors)
        and fused_is_slow_at_bf16()
        and not (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors))
    )


@lru_cache
def fused_is_slow_at_bf16() -> bool:
    """Whether this CPU has instructions for bf16 that the fused attention makes no use of: AVX-512 without AMX."""
    # private names of torch: present since 2.5 on x86
    probes = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    has_avx512_bf16, has_amx = (probe is not None and bool(probe()) for probe in probes)
    return has_avx512_bf16 and not has_amx
