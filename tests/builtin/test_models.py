"""Models come through the hook sam2_models, plugins' beside the built-in ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from sam2_core import load_model
from sam2_core.checkpoints import CATALOGUE, get_entry, known_models
from sam2_core.errors import UnknownModelError
from sam2_core.hooks import ModelEntry, using_plugins
from tests.hooks.added import plugins_adding


def test_the_built_in_models_are_registered_in_order() -> None:
    assert list(known_models().values())[: len(CATALOGUE)] == list(CATALOGUE.values())


def test_a_plugins_model_is_loaded_by_name(tmp_path: Path) -> None:
    weights = shutil.copy(CATALOGUE["sam2.1_hiera_micro"].shipped_path, tmp_path / "mine.safetensors")
    entry = ModelEntry(
        "my-cells",
        "a model of mine",
        config="configs/sam2.1/sam2.1_hiera_micro.yaml",
        file_name="mine.safetensors",
        folder=tmp_path,
    )
    with using_plugins(plugins_adding(entry, installed=True)):
        assert get_entry("my-cells") is entry
        assert get_entry("mine.safetensors") is entry
        loaded = load_model("my-cells", device="cpu", precision="fp32", image_size=64)
    by_path = load_model(weights, device="cpu", precision="fp32")

    assert all(torch.equal(one, loaded.state_dict()[name]) for name, one in by_path.state_dict().items())
    with pytest.raises(UnknownModelError, match="my-cells"):
        get_entry("my-cells")
