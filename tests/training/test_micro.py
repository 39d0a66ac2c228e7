"""The recipe of the shipped checkpoint, in small."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from sam2_core.checkpoints.config import instantiate_model, load_config
from sam2_core.training import micro
from sam2_core.training.trainer import TrainerOptions
from tests.training.micro_model import small_pool


def test_train_go_on_and_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_pool(tmp_path / "stills", frames=1)
    small_pool(tmp_path / "stacks", frames=micro.STACK_FRAMES)
    works = (micro.Work(1.0, 64, 1, 2), micro.Work(1.0, 96, 1, 1), micro.Work(1.0, 64, 1, 1, micro.STACK_FRAMES))
    monkeypatch.setattr(micro, "PHASES", (micro.Phase(0.5, works), micro.Phase(1.0, works)))
    options = TrainerOptions(log_every=1, warm_up=1)
    threads = torch.get_num_threads()
    micro.train(tmp_path, 0.6 / 3600, 1, options)
    micro.train(tmp_path, 1.2 / 3600, 1, options)
    torch.set_num_threads(threads)
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


def test_the_shipped_checkpoint_fits_its_configuration() -> None:
    if not micro.WEIGHTS.exists():
        pytest.skip(f"no checkpoint at {micro.WEIGHTS}: train one with python -m sam2_core.training.micro")
    assert micro.WEIGHTS.stat().st_size <= 12 * 2**20
    state = load_file(micro.WEIGHTS)
    model = instantiate_model(load_config(micro.CONFIG))
    model.load_state_dict({name: value.float() for name, value in state.items()})
