"""The recipe of the shipped checkpoint, in small."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sam2_core.checkpoints.config import instantiate_model, load_config
from sam2_core.errors import CheckpointError, MissingFileError
from sam2_core.training import micro
from sam2_core.training.trainer import TrainerOptions
from tests.training.micro_model import small_pool


def small_pools(folder: Path) -> None:
    """The pools of a run, in small."""
    for name, plan in micro.POOLS.items():
        small_pool(folder / name, frames=min(plan.frames, 2))


def test_train_go_on_and_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_pools(tmp_path)
    works = (micro.Work(1.0, 64, 1, 2), micro.Work(1.0, 96, 1, 1), micro.Work(1.0, 64, 1, 1, 2))
    monkeypatch.setattr(micro, "PLANS", {"first": (micro.Phase(0.5, works), micro.Phase(1.0, works))})
    options = TrainerOptions(log_every=1, warm_up=1)
    threads = torch.get_num_threads()
    micro.train(tmp_path, 0.6 / 3600, 1, options)
    micro.train(tmp_path, 1.2 / 3600, 1, options)
    torch.set_num_threads(threads)
    assert float(torch.tensor(1e-40) * 1) > 0, "the caller's denormal numbers are flushed to zero"
    target = tmp_path / "weights" / "micro.safetensors"
    micro.export(tmp_path, target)
    assert target.stat().st_size <= 12 * 2**20
    with safe_open(target, "pt") as file:
        assert file.metadata()["sam2_image_size"] == "256"
    state = load_file(target)
    model = instantiate_model(load_config(micro.CONFIG))
    model.load_state_dict({name: value.float() for name, value in state.items()})
    # Whatever size was trained last, the frequencies are those of the configured size: 2 at 256 pixels.
    matrix = state["sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"]
    assert 1.9 < float(matrix.float().std()) < 2.1


def test_a_run_starts_from_weights_and_goes_on_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    small_pools(folder)
    phases = (micro.Phase(1.0, (micro.Work(1.0, 64, 1, 1),)),)
    # the first would fail to train at all
    monkeypatch.setattr(micro, "PLANS", {"first": (), "further": phases})
    weights = tmp_path / "weights.safetensors"
    state = micro.build_modules(seed=5)["model"].state_dict()
    save_file({name: value.half().contiguous() for name, value in state.items()}, weights)
    options = TrainerOptions(learning_rate=1e-7, warm_up=1, weight_decay=0.0)
    threads = torch.get_num_threads()
    micro.train(folder, 0.2 / 3600, 1, options, weights)
    stopped = torch.load(folder / "checkpoint.pt", weights_only=True)
    micro.train(folder, (stopped["extra"]["used"] + 1) / 3600, 1, options)
    torch.set_num_threads(threads)
    micro.export(folder, tmp_path / "exported.safetensors")
    exported = load_file(tmp_path / "exported.safetensors")
    # At so small a rate the weights are still those that the run started from.
    for name, value in exported.items():
        torch.testing.assert_close(value.float(), state[name].half().float(), atol=2e-3, rtol=2e-3)
    with safe_open(tmp_path / "exported.safetensors", "pt") as file:
        assert int(file.metadata()["steps"]) > stopped["step"]
        assert "earlier weights" in file.metadata()["started_from"]


def test_a_run_starts_from_another_run_with_its_optimiser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_pools(tmp_path / "first")
    phases = (micro.Phase(1.0, (micro.Work(1.0, 64, 1, 1),)),)
    monkeypatch.setattr(micro, "PLANS", {"first": phases, "further": phases})
    threads = torch.get_num_threads()
    micro.train(tmp_path / "first", 0.3 / 3600, 1, TrainerOptions(learning_rate=1e-3, warm_up=1))
    first = torch.load(tmp_path / "first" / "checkpoint.pt", weights_only=True)
    small_pools(tmp_path / "second")
    # At no rate the weights stay those of the first run, the optimiser's moments go on from its own.
    options = TrainerOptions(learning_rate=0.0, warm_up=1)
    micro.train(tmp_path / "second", 0.2 / 3600, 1, options, tmp_path / "first" / "checkpoint.pt")
    torch.set_num_threads(threads)
    second = torch.load(tmp_path / "second" / "checkpoint.pt", weights_only=True)
    name = "sam_mask_decoder.iou_token.weight"
    assert torch.equal(second["model"][name], first["model"][name])
    assert second["extra"]["plan"] == "further"
    steps = [float(state["optimiser"][f"model.{name}"]["step"]) for state in (first, second)]
    assert steps[1] == steps[0] + second["step"]


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="start"):
        micro.train(tmp_path / "run", 0.1, 1, TrainerOptions(), tmp_path / "missing.safetensors")
    save_file({"other": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="does not hold"):
        micro.train(tmp_path / "run", 0.1, 1, TrainerOptions(), tmp_path / "other.safetensors")
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_the_shipped_checkpoint_fits_its_configuration() -> None:
    if not micro.WEIGHTS.exists():
        pytest.skip(f"no checkpoint at {micro.WEIGHTS}: train one with python -m sam2_core.training.micro")
    assert micro.WEIGHTS.stat().st_size <= 12 * 2**20
    state = load_file(micro.WEIGHTS)
    model = instantiate_model(load_config(micro.CONFIG))
    model.load_state_dict({name: value.float() for name, value in state.items()})
