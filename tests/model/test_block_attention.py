"""Attention of matrix products against its definition and against the fused one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sam2_core.model import block_attention
from sam2_core.model.attention import RoPEAttention
from sam2_core.model.block_attention import QUERY_BLOCK, attend, attend_in_blocks, products_are_faster
from tests.model.small_models import alive, noise


def assert_near(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found.double(), expected.double(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("count", [1, QUERY_BLOCK, 2 * QUERY_BLOCK + 7])
@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_attention_in_blocks_is_softmax_attention(count: int, scale: float) -> None:
    query, key, value = noise(2, count, 16), noise(2, 33, 16, seed=1), noise(2, 33, 5, seed=2)
    weight = (query.double() @ key.double().transpose(1, 2) * scale).softmax(-1)

    with torch.inference_mode():
        found = attend_in_blocks(query, key, value, scale)

    assert_near(found, weight @ value.double())


@contextmanager
def slow_fused() -> Iterator[pytest.MonkeyPatch]:
    """A CPU with bf16 instructions and without AMX, whatever this one is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block_attention, "fused_is_slow_at_bf16", lambda: True)
        yield patch


def forbidden(*_: object, **__: object) -> Tensor:
    raise AssertionError("forbidden here")


@settings(max_examples=30, deadline=None)
@given(
    batch=st.integers(1, 3),
    heads=st.integers(1, 3),
    queries=st.sampled_from([16, 49, 300]),
    keys=st.sampled_from([16, 64, 257]),
    together=st.sampled_from([1 << 10, 1 << 24]),
)
def test_products_give_what_the_fused_one_gives(batch: int, heads: int, queries: int, keys: int, together: int) -> None:
    query, key, value = (
        noise(batch, heads, count, 8, seed=seed).bfloat16() for seed, count in enumerate((queries, keys, keys))
    )
    expected = F.scaled_dot_product_attention(query.double(), key.double(), value.double())
    with torch.inference_mode(), slow_fused() as patch:
        patch.setattr(block_attention, "_OF_ALL", together)
        patch.setattr(block_attention.F, "scaled_dot_product_attention", forbidden)
        found = attend(query, key, value)
    assert found.dtype == torch.bfloat16
    # scores and weights are rounded to eight bits
    torch.testing.assert_close(found.double(), expected, rtol=0.05, atol=0.05)


def test_when_products_are_taken() -> None:
    narrow, wide = noise(1, 2, 32, 8).bfloat16(), noise(1, 2, 32, 8)
    few = narrow[:, :, :4]
    with slow_fused() as patch:
        assert products_are_faster(narrow, narrow)
        assert not products_are_faster(narrow, wide)
        assert not products_are_faster(narrow, narrow.clone().requires_grad_())
        with torch.no_grad():
            assert products_are_faster(narrow, narrow.clone().requires_grad_())
        # fp32, a handful of tokens and one image for all are left to the fused one
        patch.setattr(block_attention.torch, "matmul", forbidden)
        assert torch.equal(attend(few, narrow, narrow), F.scaled_dot_product_attention(few, narrow, narrow))
        many = narrow.expand(3, -1, -1, -1)
        assert torch.equal(attend(many, narrow, narrow), F.scaled_dot_product_attention(many, narrow, narrow))
        assert torch.equal(attend(wide, wide, wide), F.scaled_dot_product_attention(wide, wide, wide))
        with pytest.raises(AssertionError, match="forbidden"):
            attend(narrow, narrow, narrow)


@pytest.mark.parametrize(
    ("has", "is_slow"),
    [((True, False), True), ((True, True), False), ((False, False), False), ((None, None), False)],
)
def test_it_is_slow_with_avx512_and_without_amx(
    monkeypatch: pytest.MonkeyPatch, has: tuple[bool | None, bool | None], is_slow: bool
) -> None:
    for name, answer in zip(("_is_avx512_bf16_supported", "_is_amx_tile_supported"), has, strict=True):
        if answer is None:
            monkeypatch.delattr(torch.cpu, name, raising=False)
        else:
            monkeypatch.setattr(torch.cpu, name, lambda answer=answer: answer, raising=False)
    assert block_attention.fused_is_slow_at_bf16.__wrapped__() is is_slow


def test_memories_are_attended_to_before_their_projection_in_bf16_too() -> None:
    layer = alive(RoPEAttention(64, 1, kv_in_dim=16, rope_k_repeat=True)).eval()
    q, k, v = noise(1, 306, 64), *(noise(1, 918, 16, seed=seed) for seed in (1, 2))
    with torch.inference_mode(), slow_fused():
        expected = layer(q, k, v, 0, (18, 17))
        half = layer.bfloat16()
        assert half._attends_to_raw(q.bfloat16(), v.bfloat16())
        found = half(q.bfloat16(), k.bfloat16(), v.bfloat16(), 0, (18, 17)).float()
    assert (found - expected).norm() < 0.03 * expected.norm()
