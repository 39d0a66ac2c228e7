"""Which weights a fine-tuning keeps."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sam2_core.hooks import TrainingEvent
from sam2_core.training.fine_tuning.tuning_run import TuningRun
from sam2_core.training.fine_tuning.validation import Measured


class OneWeight(nn.Module):
    """Its one weight is what it can do of the new, and twice what it loses of the old."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))


class New:
    def measure(self, model: Any) -> Measured:
        return Measured(float(model.weight.detach()), np.zeros((2, 2, 3), np.uint8))


class Old:
    def measure(self, model: Any) -> Measured:
        return Measured(1 - float(model.weight.detach()) / 2, np.zeros((2, 2, 3), np.uint8))


def trained(folder: Path, weights: list[float], keeping: Any) -> tuple[OneWeight, TuningRun]:
    model: Any = OneWeight()
    new: Any = New()
    run = TuningRun(model, folder, 1000.0, new, keeping)
    run.begin()
    for step, weight in enumerate(weights, start=1):
        model.weight.data.fill_(weight)
        run.report(TrainingEvent("step", step))
        run.validate()
    run.finish()
    return model, run


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    model, run = trained(tmp_path, [0.3, 0.5, 0.2], None)
    assert float(model.weight) == pytest.approx(0.5)
    assert (run.before, run.best_step, run.step, run.share) == (0.0, 2, 3, 1.0)
    assert not model.training


def test_what_costs_too_much_elsewhere_is_blended_with_the_start(tmp_path: Path) -> None:
    model, run = trained(tmp_path, [0.08], Old())
    # all of the change costs 0.04 and seven tenths of it 0.028; 0.02 may be lost
    assert run.share == 0.45
    assert float(model.weight) == pytest.approx(0.036)
    assert run.kept == pytest.approx(0.982)


def test_weights_that_cost_little_are_kept_as_they_are(tmp_path: Path) -> None:
    model, run = trained(tmp_path, [0.03, 0.9], Old())
    assert float(model.weight) == pytest.approx(0.03)
    assert run.best == pytest.approx(0.03)
    assert run.best_step == 1


def test_a_pause_takes_nothing_of_the_budget(tmp_path: Path) -> None:
    model: Any = OneWeight()
    new: Any = New()
    run = TuningRun(model, tmp_path, 5.0, new, listeners=[lambda _: time.sleep(0.2)])
    run.begin()
    for step in range(1, 4):
        run.report(TrainingEvent("step", step))
    assert run.elapsed < 0.5
