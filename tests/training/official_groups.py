"""Options of every parameter in the official optimiser, and values of schedules; a program of its own.

python -m tests.training.official_groups CASES.pt RESULTS.pt
"""

from __future__ import annotations

import sys
import types
from typing import Any

import torch
from omegaconf import OmegaConf

MOMENTS = (0.0, 0.1, 0.25, 0.5, 0.77, 0.999)
SCHEDULES: list[dict[str, Any]] = [
    {"_target_": "fvcore.common.param_scheduler.ConstantParamScheduler", "value": 0.3},
    {"_target_": "fvcore.common.param_scheduler.LinearParamScheduler", "start_value": 1.0, "end_value": 0.2},
    {"_target_": "fvcore.common.param_scheduler.CosineParamScheduler", "start_value": 1.0, "end_value": 0.1},
    {"_target_": "fvcore.common.param_scheduler.ExponentialParamScheduler", "start_value": 2.0, "decay": 0.02},
    {"_target_": "fvcore.common.param_scheduler.PolynomialDecayParamScheduler", "base_value": 0.1, "power": 0.9},
    {"_target_": "fvcore.common.param_scheduler.StepParamScheduler", "num_updates": 12, "values": [1.0, 0.5, 0.1]},
    {
        "_target_": "fvcore.common.param_scheduler.StepWithFixedGammaParamScheduler",
        "base_value": 1.0,
        "num_decays": 3,
        "gamma": 0.1,
        "num_updates": 120,
    },
    {
        "_target_": "fvcore.common.param_scheduler.MultiStepParamScheduler",
        "values": [1.0, 0.5, 0.1],
        "milestones": [3, 6, 9],
    },
    {"_target_": "fvcore.common.param_scheduler.MultiStepParamScheduler", "values": [1.0, 0.5], "num_updates": 7},
    {
        "_target_": "fvcore.common.param_scheduler.CompositeParamScheduler",
        "schedulers": [
            {"_target_": "fvcore.common.param_scheduler.LinearParamScheduler", "start_value": 0.0, "end_value": 1.0},
            {"_target_": "fvcore.common.param_scheduler.CosineParamScheduler", "start_value": 1.0, "end_value": 0.0},
        ],
        "lengths": [0.2, 0.8],
        "interval_scaling": ["rescaled", "fixed"],
    },
]


def options_by_name(optimizer: torch.optim.Optimizer, model: torch.nn.Module) -> dict[str, dict[str, float]]:
    """Options of the group of each parameter."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: {name: group[name] for name in ("lr", "weight_decay", "eps")}
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def main() -> None:
    _trainer = types.ModuleType("training.utils.data_utils")
    _trainer.BatchedVideoDatapoint = object  # type: ignore[attr-defined]
    sys.modules["training.utils.data_utils"] = _trainer
    from hydra.utils import instantiate
    from training.optimizer import construct_optimizer

    results = []
    for case in torch.load(sys.argv[1]):
        model = instantiate(case["model"])
        config = OmegaConf.create(case["optim"])
        optim = construct_optimizer(model, config.optimizer, config.options, config.param_group_modifiers)
        values = []
        for moment in MOMENTS:
            optim.step_schedulers(moment, step=0)
            values.append(options_by_name(optim.optimizer, model))
        results.append(values)
    schedules = [[instantiate(each)(moment) for moment in MOMENTS] for each in SCHEDULES]
    torch.save({"groups": results, "schedules": schedules}, sys.argv[2])


if __name__ == "__main__":
    main()
