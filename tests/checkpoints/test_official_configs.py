"""Our eight configurations against the official package's: the same values, the same state dict."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from sam2_core.checkpoints.catalogue import CATALOGUE
from sam2_core.checkpoints.config import instantiate_model, load_config
from sam2_core.checkpoints.initialisation import WithoutRandomWeights
from sam2_core.checkpoints.targets import resolve_target

NAMES = [entry.config for entry in CATALOGUE.values() if not entry.shipped]


@pytest.fixture(scope="module")
def official() -> dict[str, Any]:
    """Values and shapes per configuration, from the official package in a process of its own."""
    if importlib.util.find_spec("sam2") is None:
        pytest.skip("needs the official package as oracle; install it with `make oracle`")
    program = Path(__file__).with_name("official_models.py")
    done = subprocess.run([sys.executable, str(program), *NAMES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def with_our_targets(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: resolve_target(value, where=key) if key == "_target_" else with_our_targets(value)
            for key, value in node.items()
        }
    return [with_our_targets(value) for value in node] if isinstance(node, list) else node


@pytest.mark.parametrize("name", NAMES)
def test_values_are_the_official_ones(official: dict[str, Any], name: str) -> None:
    ours = OmegaConf.to_container(load_config(name), resolve=True)

    assert ours == with_our_targets(official[name]["values"])


@pytest.mark.parametrize("name", NAMES)
def test_the_state_dict_has_the_official_keys_and_shapes(official: dict[str, Any], name: str) -> None:
    with WithoutRandomWeights():
        model = instantiate_model(load_config(name))

    assert {key: list(value.shape) for key, value in model.state_dict().items()} == official[name]["shapes"]


@pytest.mark.parametrize("name", NAMES)
def test_the_catalogue_counts_the_parameters_right(official: dict[str, Any], name: str) -> None:
    entry = next(entry for entry in CATALOGUE.values() if entry.config == name)
    buffers = {"sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"}
    shapes = [shape for key, shape in official[name]["shapes"].items() if key not in buffers]

    assert entry.parameters == sum(math.prod(shape) for shape in shapes)
