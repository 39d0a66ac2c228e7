"""How a new network starts."""

from __future__ import annotations

import torch

from tests.training.micro_model import small_model


def test_a_click_looks_at_its_own_place() -> None:
    model = small_model(256)
    encoder = model.sam_prompt_encoder
    places = encoder.get_dense_pe()[0].flatten(1).T
    points = torch.tensor([[[40.0, 200.0]], [[136.0, 24.0]]])
    codes = encoder.pe_layer.forward_with_coords(points, (256, 256))[:, 0]
    for layer in model.sam_mask_decoder.transformer.layers:
        attention = layer.cross_attn_token_to_image
        scores = attention.q_proj(codes) @ attention.k_proj(places).T
        for (x, y), where in zip(points[:, 0].tolist(), scores.argmax(dim=1).tolist(), strict=True):
            assert abs(where % 16 - x / 16 + 0.5) <= 1
            assert abs(where // 16 - y / 16 + 0.5) <= 1


def test_memory_attention_looks_at_its_own_place() -> None:
    model = small_model(128)
    attention = model.memory_attention.layers[0].cross_attn_image
    queries, memories = torch.zeros(1, 64, 128), torch.zeros(1, 64, 64)
    places = torch.eye(64)[None]
    with torch.no_grad():
        attention.v_proj.weight.zero_()
        attention.v_proj.bias.zero_()
        attention.v_proj.weight[:64] = torch.eye(64)
        attention.out_proj.weight.copy_(torch.eye(128))
        attention.out_proj.bias.zero_()
        looked = attention(queries, memories, places, grid=(8, 8))[0, :, :64]
    assert (looked.argmax(dim=1) == torch.arange(64)).all()
