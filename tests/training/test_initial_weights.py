"""Weights to start from, whole or in part."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from sam2_core.errors import CheckpointError, ConfigError, MissingFileError
from sam2_core.training.initial_weights import (
    CkptExcludeKernel,
    CkptIncludeKernel,
    load_checkpoint,
    load_checkpoint_and_apply_kernels,
    load_state_dict_into_model,
)


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))


def test_kernels_choose_and_patterns_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"a": {"b": network(1).state_dict()}}, path)
    state = load_checkpoint_and_apply_kernels(str(path), [CkptExcludeKernel(["1.*"])], ["a", "b"])
    assert sorted(state) == ["0.bias", "0.weight"]
    assert sorted(CkptIncludeKernel(["*.bias"])(network().state_dict())) == ["0.bias", "1.bias"]
    model = network()
    with pytest.raises(CheckpointError, match="2 missing"):
        load_state_dict_into_model(state, model)
    assert torch.equal(model[0].weight, network()[0].weight)
    load_state_dict_into_model(state, model, ignore_missing_keys=["1.*"])
    assert torch.equal(model[0].weight, network(1)[0].weight)
    assert torch.equal(model[1].weight, network()[1].weight)
    load_state_dict_into_model(network(1).state_dict() | {"z": torch.ones(1)}, model, ignore_unexpected_keys=["z"])
    assert torch.equal(model[1].weight, network(1)[1].weight)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    state = network(1).state_dict()
    with pytest.raises(CheckpointError, match="1 of another shape"):
        load_state_dict_into_model(state | {"0.weight": torch.ones(3, 3)}, network())
    with pytest.raises(CheckpointError, match="1 unexpected"):
        load_state_dict_into_model(state | {"z": torch.ones(1)}, network(), strict=False)
    with pytest.raises(ConfigError, match="matches no name"):
        CkptExcludeKernel(["z*"])(state)
    with pytest.raises(MissingFileError, match="sam2 download"):
        load_checkpoint_and_apply_kernels(str(tmp_path / "none.pt"))
    with pytest.raises(MissingFileError, match=r"none\.pt"):
        load_checkpoint([str(tmp_path / "none.pt")])
    torch.save({"a": state}, tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match="no entry 'b'"):
        load_checkpoint([str(tmp_path / "none.pt"), str(tmp_path / "weights.pt")], ["b"])
