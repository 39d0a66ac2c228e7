"""The trainer: learning, resuming, refusing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sam2_core.errors import CheckpointError, InvalidInputError, MissingFileError, StateError
from sam2_core.training.trainer import StepRandom, Trainer, TrainerOptions, mixture

OPTIONS = TrainerOptions(learning_rate=0.02, warm_up=2, log_every=5, averaging=0.9)


def network() -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict(
        {"model": nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)), "extra": nn.Linear(1, 1)}
    )


def task_of(modules: nn.ModuleDict, seen: list[float]) -> object:
    def task(random: StepRandom) -> tuple[Tensor, dict[str, float]]:
        x = torch.from_numpy(random.own.standard_normal((32, 4)).astype(np.float32))
        loss = (modules["model"](x) - x.sum(dim=1, keepdim=True)).square().mean()
        seen.append(float(loss.detach()))
        return loss, {"error": float(loss.detach())}

    return task


def train(folder: Path, steps: int, *, resume: bool = False) -> tuple[Trainer, list[float]]:
    modules = network()
    trainer = Trainer(modules, OPTIONS, folder)
    if resume:
        assert trainer.resume() == {"note": 5}
    seen: list[float] = []
    trainer.run(task_of(modules, seen), lambda step: step / 40, lambda step: step >= steps)  # type: ignore[arg-type]
    trainer.save({"note": 5})
    return trainer, seen


def test_the_loss_falls_and_a_resumed_run_is_the_same_run(tmp_path: Path) -> None:
    whole, losses = train(tmp_path / "whole", 40)
    assert np.mean(losses[-5:]) < 0.3 * np.mean(losses[:5])
    _, first = train(tmp_path / "parts", 17)
    resumed, second = train(tmp_path / "parts", 40, resume=True)
    assert first + second == losses
    for name, value in whole.averaged_state().items():
        assert torch.equal(value, resumed.averaged_state()[name])
    lines = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(5, 41, 5))
    assert lines[0]["error"] == pytest.approx(np.mean(losses[:5]), abs=1e-3)
    assert lines[-1]["rate"] < 0.1 * lines[1]["rate"]
    assert not list(tmp_path.glob("*/*.part"))


def test_the_average_lags_behind_the_weights(tmp_path: Path) -> None:
    trainer, _ = train(tmp_path, 10)
    weights = trainer.modules["model"].state_dict()
    average = trainer.averaged_state()
    assert set(average) == set(weights)
    assert not torch.equal(average["0.weight"], weights["0.weight"])


def test_a_loss_that_is_not_finite_stops_training_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    trainer, _ = train(tmp_path, 3)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    weight = trainer.modules["model"].state_dict()["0.weight"].clone()

    def broken(random: StepRandom) -> tuple[Tensor, dict[str, float]]:
        return trainer.modules["model"](torch.full((1, 4), torch.nan)).sum(), {}

    with pytest.raises(StateError, match="step 3"):
        trainer.run(broken, lambda step: 0.0, lambda step: step >= 5)
    assert torch.equal(weight, trainer.modules["model"].state_dict()["0.weight"])
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_checkpoints_of_other_networks_and_missing_ones_are_refused(tmp_path: Path) -> None:
    train(tmp_path, 1)
    other = Trainer(nn.ModuleDict({"model": nn.Linear(3, 3)}), OPTIONS, tmp_path)
    with pytest.raises(CheckpointError, match="other networks"):
        other.resume()
    with pytest.raises(MissingFileError):
        other.resume(tmp_path / "none.pt")
    with pytest.raises(InvalidInputError, match="model"):
        Trainer(nn.ModuleDict({"net": nn.Linear(1, 1)}), OPTIONS, tmp_path)


def test_a_mixture_takes_its_tasks_in_their_shares() -> None:
    taken: list[str] = []

    def named(name: str) -> object:
        def task(random: StepRandom) -> tuple[Tensor, dict[str, float]]:
            taken.append(name)
            return torch.zeros(()), {}

        return task

    mixed = mixture([(3.0, named("often")), (1.0, named("seldom")), (0.0, named("never"))])  # type: ignore[list-item]
    for step in range(400):
        mixed(StepRandom(np.random.default_rng((step, 1)), np.random.default_rng(step)))
    assert 0.68 < taken.count("often") / 400 < 0.82
    assert "never" not in taken
    with pytest.raises(InvalidInputError):
        mixture([])
