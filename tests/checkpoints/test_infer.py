"""The configuration read off weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sam2_core.checkpoints.config import config_names, instantiate_model, load_config
from sam2_core.checkpoints.infer import InferredConfig, config_facts, infer_config, weights_facts
from sam2_core.checkpoints.initialisation import WithoutRandomWeights
from sam2_core.errors import CheckpointError


def empty_weights(name: str, *overrides: str) -> dict[str, Tensor]:
    with WithoutRandomWeights():
        return instantiate_model(load_config(name, overrides)).state_dict()


@pytest.mark.parametrize("name", config_names())
def test_every_configuration_is_recognised_by_its_weights(name: str) -> None:
    weights = empty_weights(name)

    assert infer_config(weights) == InferredConfig(name)
    assert weights_facts(weights) == config_facts(load_config(name))


@pytest.mark.parametrize(
    "overrides",
    [
        ("++model.num_maskmem=4",),
        ("++model.memory_attention.num_layers=2",),
        ("++model.image_encoder.trunk.window_pos_embed_bkg_spatial_size=[14,14]",),
        ("++model.no_obj_embed_spatial=false",),
        ("++model.num_maskmem=12", "++model.no_obj_embed_spatial=false"),
    ],
)
def test_options_that_differ_become_overrides(overrides: tuple[str, ...]) -> None:
    inferred = infer_config(empty_weights("sam2.1_hiera_t", *overrides))

    assert inferred.name == "configs/sam2.1/sam2.1_hiera_t.yaml"
    assert set(inferred.overrides) == set(overrides)
    assert all(override in str(inferred) for override in overrides)


def test_an_image_size_leaves_no_trace(tiny_weights: dict[str, Tensor]) -> None:
    """MedSAM2 is SAM 2.1 tiny at 512 pixels: its weights look like those at 1024."""
    assert {key: value.shape for key, value in empty_weights("sam2.1_hiera_t", "model.image_size=512").items()} == {
        key: value.shape for key, value in tiny_weights.items()
    }


def test_a_size_that_no_configuration_has(tiny_weights: dict[str, Tensor]) -> None:
    weights = dict(tiny_weights)
    weights["image_encoder.trunk.patch_embed.proj.weight"] = torch.empty(64, 3, 7, 7)

    with pytest.raises(CheckpointError, match=r"64 channels.*stages of \[1, 2, 7, 2\].*config="):
        infer_config(weights)


@pytest.mark.parametrize(
    "part", ["memory_attention", "maskmem_tpos_enc", "image_encoder.neck", "image_encoder.trunk.pos"]
)
def test_a_part_of_a_network_is_called_that(tiny_weights: dict[str, Tensor], part: str) -> None:
    weights = {key: value for key, value in tiny_weights.items() if not key.startswith(part)}

    with pytest.raises(CheckpointError, match="only a part of SAM 2"):
        infer_config(weights)
