"""Attention against its definition, in both forms and for any grid."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sam2_core.errors import ConfigError, InvalidInputError
from sam2_core.model.attention import (
    Attention,
    RoPEAttention,
    TokenImageAttention,
)
from tests.model.small_models import alive, noise


def defined_attention(layer: Attention, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax of scaled products, head by head, in float64."""
    heads = []
    width = layer.internal_dim // layer.num_heads
    query, key, value = (
        (x.double() @ projection.weight.double().T + projection.bias.double())
        for x, projection in ((q, layer.q_proj), (k, layer.k_proj), (v, layer.v_proj))
    )
    for head in range(layer.num_heads):
        part = slice(head * width, (head + 1) * width)
        weight = (query[..., part] @ key[..., part].transpose(1, 2) / width**0.5).softmax(-1)
        heads.append(weight @ value[..., part])
    return torch.cat(heads, -1) @ layer.out_proj.weight.double().T + layer.out_proj.bias.double()


def assert_near(found: Tensor, expected: Tensor) -> None:
    """Equal to float32 precision."""
    torch.testing.assert_close(found.double(), expected, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize(("heads", "rate", "kv"), [(1, 1, None), (4, 2, None), (2, 1, 8)])
def test_attention_follows_its_definition(heads: int, rate: int, kv: int | None) -> None:
    layer = alive(Attention(16, heads, rate, kv_in_dim=kv))
    q, k, v = noise(2, 5, 16), noise(2, 7, kv or 16, seed=1), noise(2, 7, kv or 16, seed=2)

    assert_near(layer(q, k, v), defined_attention(layer, q, k, v))


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ConfigError, match="num_heads"):
        Attention(16, 3)


@pytest.mark.parametrize("count", [1, 3, 20])
@pytest.mark.parametrize("images", [1, 2])
def test_tokens_to_image_follows_the_definition(count: int, images: int) -> None:
    """With few tokens and many, one image for all and one each, the moved projections change nothing."""
    layer = alive(TokenImageAttention(32, 4, 2))
    tokens, placed, pixels = noise(2, count, 32), noise(images, 30, 32, seed=1), noise(images, 30, 32, seed=2)

    found = layer.tokens_to_image(tokens, placed, pixels)

    assert_near(found, defined_attention(layer, tokens, placed.expand(2, -1, -1), pixels.expand(2, -1, -1)))


@pytest.mark.parametrize("count", [1, 3, 20])
@pytest.mark.parametrize("images", [1, 2])
def test_image_to_tokens_follows_the_definition(count: int, images: int) -> None:
    layer = alive(TokenImageAttention(32, 4, 2))
    pixels, placed, tokens = noise(images, 30, 32), noise(2, count, 32, seed=1), noise(2, count, 32, seed=2)
    plain = noise(images, 30, 32, seed=3)

    found = layer.image_to_tokens(pixels, placed, tokens, plain)

    assert_near(found, plain + defined_attention(layer, pixels.expand(2, -1, -1), placed, tokens))


def test_dropped_weights_leave_the_bias_of_the_answer_whole() -> None:
    """In training a pixel's weights need not sum to one."""
    layer = alive(TokenImageAttention(32, 4, 2, dropout=0.9)).train()
    for weight in (layer.v_proj.weight, layer.v_proj.bias):
        torch.nn.init.zeros_(weight)
    pixels, tokens = noise(2, 30, 32), noise(2, 3, 32, seed=1)

    found = layer.image_to_tokens(pixels, tokens, tokens, pixels)

    assert_near(found, (pixels + layer.out_proj.bias).double())


def test_dropout_acts_in_training_only() -> None:
    layer = alive(Attention(16, 2, dropout=0.5))
    q, k = noise(1, 4, 16), noise(1, 50, 16, seed=1)

    assert torch.equal(layer(q, k, k), layer(q, k, k))
    layer.train()
    assert not torch.equal(layer(q, k, k), layer(q, k, k))


def turned(x: Tensor, height: int, width: int) -> Tensor:
    """Axial rotary encoding of (B, H * W, D) with complex numbers, in float64."""
    dim = x.shape[-1]
    index = torch.arange(height * width)
    frequency = 10000.0 ** (-torch.arange(0, dim, 4).double() / dim)
    angle = torch.cat([torch.outer(index % width, frequency), torch.outer(index // width, frequency)], dim=-1)
    pairs = torch.view_as_complex(x.double().unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angle), angle)).flatten(-2)


@pytest.mark.parametrize(("height", "width"), [(4, 4), (3, 5), (6, 2)])
@pytest.mark.parametrize("pointers", [0, 3])
def test_rotary_cross_attention_turns_every_remembered_grid(height: int, width: int, pointers: int) -> None:
    """Two remembered grids are turned alike, tokens without a place are not turned."""
    layer = alive(RoPEAttention(16, 1, kv_in_dim=8, rope_k_repeat=True))
    count = height * width
    q, k, v = noise(2, count, 16), noise(2, 2 * count + pointers, 8, seed=1), noise(2, 2 * count + pointers, 8, seed=2)

    query = turned(layer.q_proj(q), height, width)
    key = layer.k_proj(k).double()
    key = torch.cat(
        [
            turned(key[:, :count], height, width),
            turned(key[:, count : 2 * count], height, width),
            key[:, 2 * count :],
        ],
        dim=1,
    )
    weight = (query @ key.transpose(1, 2) / 4).softmax(-1)
    out = weight @ layer.v_proj(v).double()
    expected = out @ layer.out_proj.weight.double().T + layer.out_proj.bias.double()

    assert_near(layer(q, k, v, num_k_exclude_rope=pointers, grid=(height, width)), expected)


def test_rotary_attention_leaves_its_inputs_alone() -> None:
    layer = alive(RoPEAttention(16, 1))
    x = noise(1, 16, 16)
    before = x.clone()

    layer(x, x, x)

    assert torch.equal(x, before)


def test_rotary_attention_takes_a_square_when_no_grid_is_named() -> None:
    layer = alive(RoPEAttention(16, 1, feat_sizes=(8, 8)))
    x = noise(1, 16, 16)

    assert torch.equal(layer(x, x, x), layer(x, x, x, grid=(4, 4)))


def test_rotary_attention_refuses_keys_that_are_no_grid() -> None:
    layer = alive(RoPEAttention(16, 1, rope_k_repeat=True))

    with pytest.raises(InvalidInputError, match="square"):
        layer(noise(1, 15, 16), noise(1, 15, 16), noise(1, 15, 16))
    with pytest.raises(InvalidInputError, match="multiple"):
        layer(noise(1, 16, 16), noise(1, 20, 16), noise(1, 20, 16))
    with pytest.raises(InvalidInputError, match="rope_k_repeat"):
        alive(RoPEAttention(16, 1))(noise(1, 16, 16), noise(1, 32, 16), noise(1, 32, 16))


def test_only_pointers_to_look_at() -> None:
    layer = alive(RoPEAttention(16, 1, rope_k_repeat=True))

    found = layer(noise(1, 16, 16), noise(1, 5, 16), noise(1, 5, 16), num_k_exclude_rope=5)

    assert found.shape == (1, 16, 16)


@pytest.mark.parametrize("pointers", [0, 4])
def test_attending_to_memories_before_their_projection_changes_nothing(pointers: int) -> None:
    """The narrow way, taken on a CPU without gradients, against the plain one in twice the precision."""
    layer = alive(RoPEAttention(64, 1, kv_in_dim=16, rope_k_repeat=True)).eval()
    height, width = 18, 17
    count = height * width  # more than one block
    q = noise(2, count, 64)
    k, v = (noise(2, 3 * count + pointers, 16, seed=seed) for seed in (1, 2))

    with torch.inference_mode():
        assert layer._attends_to_raw(q, v)
        narrow = layer(q, k, v, pointers, (height, width))
        exact = layer.double()
        assert not exact._attends_to_raw(q.double(), v.double())
        plain = exact(q.double(), k.double(), v.double(), pointers, (height, width))

    assert narrow.dtype == torch.float32
    assert_near(narrow, plain)


def test_memories_are_projected_first_where_gradients_are_wanted() -> None:
    layer = alive(RoPEAttention(64, 1, kv_in_dim=16, rope_k_repeat=True))
    q, k, v = noise(1, 16, 64), noise(1, 32, 16, seed=1), noise(1, 32, 16, seed=2).requires_grad_()

    layer(q, k, v).sum().backward()

    assert v.grad is not None
    assert layer.v_proj.weight.grad is not None
