"""Weights to read and write: one whole network with random values, and one that only has the right names."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sam2_core.checkpoints.config import instantiate_model, load_config
from sam2_core.checkpoints.initialisation import WithoutRandomWeights

MARKER = "image_encoder.trunk.patch_embed.proj.weight"


def random_state_dict(config: str, overrides: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """Weights of a configuration, drawn the cheap way."""
    with WithoutRandomWeights():
        model = instantiate_model(load_config(config, overrides))
    block = torch.randn(100_003, generator=torch.Generator().manual_seed(0)) * 0.02
    return {
        key: block.repeat(value.numel() // block.numel() + 1)[: value.numel()].view(value.shape).clone()
        for key, value in model.state_dict().items()
    }


@pytest.fixture(scope="session")
def tiny_weights() -> dict[str, Tensor]:
    """A state dict of SAM 2.1 tiny."""
    return random_state_dict("sam2.1_hiera_t")


@pytest.fixture(scope="session")
def micro_weights() -> dict[str, Tensor]:
    """A state dict of the network this package ships weights for, with other weights."""
    return random_state_dict("sam2.1_hiera_micro")


@pytest.fixture
def few_weights() -> dict[str, Tensor]:
    """Too few weights for a network, enough to be recognised as some of SAM 2."""
    return {
        MARKER: torch.arange(12.0).view(2, 6),
        "image_encoder.trunk.pos_embed": torch.full((1, 2), 0.5),
        "no_mem_embed": torch.ones(1, 1, 4),
    }
