"""Parameter groups and schedules are the official ones; rules that cannot be followed are refused."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from sam2_core.checkpoints.config import instantiate_model
from sam2_core.errors import ConfigError
from sam2_core.training.optimiser import construct_optimizer, layer_decay_param_modifier, names_matching
from sam2_core.training.run_options import training_optimiser
from sam2_core.training.training_config import build, load_training_config, resolved
from tests.training.official_groups import MOMENTS, SCHEDULES, options_by_name
from tests.training.small_training import small_config

MODIFIER = {
    "_target_": "training.optimizer.layer_decay_param_modifier",
    "_partial_": True,
    "layer_decay_value": 0.8,
    "layer_decay_min": 0.5,
    "apply_to": "image_encoder.trunk",
}


def cosine(start: float) -> dict[str, Any]:
    target = "fvcore.common.param_scheduler.CosineParamScheduler"
    return {"_target_": target, "start_value": start, "end_value": start / 10}


@pytest.fixture(scope="module")
def cases() -> list[dict[str, Any]]:
    """The fine-tuning configuration's rules, and others: only one option, a smallest factor."""
    overrides = ["dataset.img_folder=.", "dataset.gt_folder=."]
    official = load_training_config("sam2.1_hiera_b+_MOSE_finetune", overrides)
    other = {
        "optimizer": {"_target_": "torch.optim.AdamW", "lr": 3e-4, "eps": 1e-7},
        "options": {
            "lr": [
                {"scheduler": cosine(1e-3), "param_names": ["image_encoder.*", "memory_attention.*.weight"]},
                {"scheduler": cosine(3e-4)},
            ],
        },
        "param_group_modifiers": [MODIFIER],
    }
    return [
        {"model": small_config(), "optim": resolved(official.trainer.optim, "optim")},
        {"model": small_config(), "optim": other},
    ]


@pytest.fixture(scope="module")
def official(cases: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory, repository: Path) -> dict[str, Any]:
    for name in ("training", "fvcore"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"needs {name} as oracle; install it with `make oracle` and --group test")
    folder = tmp_path_factory.mktemp("groups")
    torch.save(cases, folder / "cases.pt")
    command = [sys.executable, "-m", "tests.training.official_groups", "cases.pt", "results.pt"]
    environment = os.environ | {"PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, cwd=folder, timeout=300, env=environment)
    found: dict[str, Any] = torch.load(folder / "results.pt")
    return found


def test_groups_are_the_official_ones(cases: list[dict[str, Any]], official: dict[str, Any]) -> None:
    for case, expected in zip(cases, official["groups"], strict=True):
        model = instantiate_model(OmegaConf.create({"model": case["model"]}))
        optimiser = training_optimiser(model, case["optim"])
        for moment, values in zip(MOMENTS, expected, strict=True):
            optimiser.set(moment)
            found = options_by_name(optimiser.optimizer, model)
            assert found.keys() == values.keys() == dict(model.named_parameters()).keys()
            for name, options in values.items():
                assert found[name] == pytest.approx(options, rel=1e-9), name
        rates = {options["lr"] for options in values.values()}
        assert len(rates) > 4


def test_schedules_are_the_official_ones(official: dict[str, Any]) -> None:
    for given, expected in zip(SCHEDULES, official["schedules"], strict=True):
        schedule = build(given, "schedule")
        assert [schedule(moment) for moment in MOMENTS] == pytest.approx(expected, rel=1e-9), given


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Linear(3, 1))


def constant(value: float) -> Any:
    return lambda where: value


def test_frozen_parameters_are_left_out_and_patterns_may_match_them() -> None:
    model = small()
    model[0].requires_grad_(False)
    rules = {"lr": [{"scheduler": constant(1.0), "param_names": ["0.*", "2.*"]}, {"scheduler": constant(2.0)}]}
    optimiser = construct_optimizer(model, torch.optim.SGD, rules)
    assert [(len(group["params"]), group["lr"]) for group in optimiser.optimizer.param_groups] == [(2, 1.0), (2, 2.0)]
    model.requires_grad_(False)
    with pytest.raises(ConfigError, match="nothing is left to train"):
        construct_optimizer(model, torch.optim.SGD, rules)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([{"scheduler": constant(1.0), "param_names": ["5.*"]}], "matches no name"),
        ([{"scheduler": constant(1.0)}, {"scheduler": constant(2.0)}], "two rules without"),
        (
            [{"scheduler": constant(1.0), "param_names": ["*"]}, {"scheduler": constant(2.0), "param_names": ["0.*"]}],
            "two rules of one option",
        ),
        ([{"scheduler": constant(1.0), "module_cls_names": ["torch.nn.Conv2d"]}], "no 'torch.nn.Conv2d'"),
        ([{"scheduler": constant(1.0), "module_cls_names": ["os.system"]}], "classes of torch.nn"),
    ],
)
def test_rules_that_cannot_be_followed_are_refused(rules: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        construct_optimizer(small(), torch.optim.SGD, {"lr": rules})


def test_layer_decay_needs_layers() -> None:
    with pytest.raises(ConfigError, match="numbers its layers"):
        layer_decay_param_modifier([], small(), 0.9, apply_to="0")
    assert names_matching(["a*", "b"], ["ab", "b", "c"]) == {"ab", "b"}
