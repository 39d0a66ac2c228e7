"""The trainer: learning, resuming, refusing."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sam2_core.errors import CheckpointError, DivergedError, InvalidInputError, MissingFileError, WriteError
from sam2_core.training.optimiser import ScheduledOptimiser
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

    with pytest.raises(DivergedError, match="step 3"):
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


@pytest.mark.parametrize("call", [1, 2, 6])
def test_a_signal_while_a_checkpoint_is_written_is_no_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """SLURM's handler ends the process with a code that asks for another turn."""
    trainer, _ = train(tmp_path, 3)
    trainer.save()
    before = (tmp_path / "checkpoint.pt").read_bytes()
    calls = []

    class Interrupted(io.FileIO):
        def write(self, data: Any) -> int:
            calls.append(len(data))
            if len(calls) == call:
                raise SystemExit(144)
            return super().write(data)

    monkeypatch.setattr(Path, "open", lambda path, mode: Interrupted(str(path), mode))
    with pytest.raises(SystemExit, match="144"):
        trainer.save()
    assert len(calls) >= call
    assert [path.name for path in tmp_path.glob("checkpoint*")] == ["checkpoint.pt"]
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_a_full_disk_is_reported_and_the_checkpoint_before_it_is_intact(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="needs limits of Unix")
    trainer, _ = train(tmp_path, 3)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # the system refuses to write on, as it does where no room is left
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(WriteError, match="Make room"):
            trainer.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


def test_accumulated_tasks_are_one_step_with_their_mean(tmp_path: Path) -> None:
    batches = torch.from_numpy(np.random.default_rng(0).standard_normal((6, 8, 4)).astype(np.float32))

    def trained(accumulate: int) -> dict[str, Tensor]:
        modules = network()
        options = TrainerOptions(learning_rate=0.02, averaging=0.0, clip=None, accumulate=accumulate)
        trainer = Trainer(modules, options, tmp_path / str(accumulate))
        parts = iter(batches.reshape(-1, 8 * 2 // accumulate, 4))

        def task(random: StepRandom) -> tuple[Tensor, dict[str, float]]:
            x = next(parts)
            return (modules["model"](x) - x.sum(dim=1, keepdim=True)).square().mean(), {}

        trainer.run(task, lambda step: 0.0, lambda step: step >= 3)
        return modules["model"].state_dict()

    one, two = trained(1), trained(2)
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], atol=1e-6, rtol=1e-5)


def test_parameters_that_a_step_did_not_use_are_left_alone_by_a_given_optimiser(tmp_path: Path) -> None:
    modules = network()
    optimiser = ScheduledOptimiser(
        torch.optim.AdamW(modules.parameters(), weight_decay=0.5), [{"lr": lambda where: 0.1 * (1 - where)}]
    )
    trainer = Trainer(modules, TrainerOptions(averaging=0.0), tmp_path, optimiser)
    unused = modules["extra"].weight.detach().clone()

    def task(random: StepRandom) -> tuple[Tensor, dict[str, float]]:
        return modules["model"](torch.ones(1, 4)).sum(), {}

    trainer.run(task, lambda step: step / 4, lambda step: step >= 2)
    assert torch.equal(modules["extra"].weight, unused)
    assert optimiser.optimizer.param_groups[0]["lr"] == pytest.approx(0.075)
    # and what was saved goes on, parameters without a history among them
    trainer.save()
    again = Trainer(network(), TrainerOptions(averaging=0.0), tmp_path)
    again.resume()
    assert again.step == 2


def test_within_the_context_the_network_has_the_averaged_weights(tmp_path: Path) -> None:
    trainer, _ = train(tmp_path, 10)
    model = trainer.modules["model"]
    own = {name: value.clone() for name, value in model.state_dict().items()}
    with trainer.averaged():
        for name, value in trainer.averaged_state().items():
            assert torch.equal(model.state_dict()[name], value)
        assert not torch.equal(model.state_dict()["0.weight"], own["0.weight"])
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in own.items())


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
