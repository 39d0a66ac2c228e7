"""Recomputed activations change no gradient, and are recomputed."""

from __future__ import annotations

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from sam2_core.checkpoints.config import instantiate_model
from sam2_core.errors import ConfigError
from sam2_core.model import MultiScaleBlock
from sam2_core.training.activation_checkpointing import checkpoint_activations
from tests.model.small_models import noise, small_hiera
from tests.training.small_training import small_config


def gradients(recomputed: bool) -> tuple[dict[str, Tensor], int]:
    torch.manual_seed(0)
    model = small_hiera().train()
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    for block in model.blocks:
        assert isinstance(block, MultiScaleBlock)
        block.norm1.register_forward_hook(count)
    if recomputed:
        assert checkpoint_activations(model) == [f"blocks.{index}" for index in range(len(model.blocks))]
    keys = list(model.state_dict())
    assert not any("forward" in key for key in keys)
    sum(level.square().mean() for level in model(noise(1, 3, 64, 64))).backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}, calls


def test_gradients_are_the_same() -> None:
    plain, once = gradients(False)
    again, twice = gradients(True)
    assert twice == 2 * once > 0
    for name, value in plain.items():
        torch.testing.assert_close(again[name], value)


def test_the_memory_attention_is_recomputed_too() -> None:
    found = []
    for recomputed in (False, True):
        torch.manual_seed(0)
        model = instantiate_model(OmegaConf.create({"model": small_config()})).memory_attention.train()
        calls: list[int] = []
        model.layers[1].norm2.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        model.layers[1].norm1.register_forward_hook(lambda *_, calls=calls: calls.append(2))
        if recomputed:
            assert checkpoint_activations(model) == ["layers.0", "layers.1"]
        frame, memory = noise(1, 64, 64), noise(1, 64, 16)
        model(frame, memory, noise(1, 64, 64, seed=1), noise(1, 64, 16, seed=1), grid=(8, 8)).square().mean().backward()
        found.append(({name: p.grad for name, p in model.named_parameters()}, sorted(calls)))
    (plain, once), (again, twice) = found
    assert once == [1, 2]
    assert twice == [1, 1, 2, 2]
    torch.testing.assert_close(again, plain)


def test_patterns() -> None:
    model = small_hiera()
    assert checkpoint_activations(model, ["blocks.[01]"]) == ["blocks.0", "blocks.1"]
    with pytest.raises(ConfigError, match="matches no name"):
        checkpoint_activations(model, ["layers.*"])
