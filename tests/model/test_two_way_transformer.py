"""Tokens and image attend to each other as the paper's appendix says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sam2_core.model import Attention, TwoWayTransformer
from tests.model.small_models import alive, noise


def plain(layer: Attention, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The same layer in its usual form."""
    return Attention.forward(layer, q, k, v)


def plain_transformer(
    module: TwoWayTransformer, image: Tensor, image_pe: Tensor, tokens: Tensor
) -> tuple[Tensor, Tensor]:
    """Step by step, with every image of the batch written out."""
    keys = image.expand(len(tokens), -1, -1, -1).flatten(2).transpose(1, 2)
    key_pe = image_pe.flatten(2).transpose(1, 2).expand_as(keys)
    queries = tokens
    for index, layer in enumerate(module.layers):
        if index == 0:
            queries = plain(layer.self_attn, queries, queries, queries)
        else:
            placed = queries + tokens
            queries = queries + plain(layer.self_attn, placed, placed, queries)
        queries = layer.norm1(queries)
        queries = layer.norm2(queries + plain(layer.cross_attn_token_to_image, queries + tokens, keys + key_pe, keys))
        queries = layer.norm3(queries + layer.mlp(queries))
        keys = layer.norm4(keys + plain(layer.cross_attn_image_to_token, keys + key_pe, queries + tokens, queries))
    queries = queries + plain(module.final_attn_token_to_image, queries + tokens, keys + key_pe, keys)
    return module.norm_final_attn(queries), keys


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("count", [1, 6, 30])
def test_two_way_attention_step_by_step(images: int, count: int) -> None:
    module = alive(TwoWayTransformer(2, 64, 8, 96)).double()
    image, image_pe = noise(images, 64, 4, 5).double(), noise(1, 64, 4, 5, seed=1).double()
    tokens = noise(3, count, 64, seed=2).double()

    found = module(image, image_pe, tokens)

    for ours, expected in zip(found, plain_transformer(module, image, image_pe, tokens), strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-9, rtol=1e-9)
