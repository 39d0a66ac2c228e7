"""The training of the shipped checkpoint, in small."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sam2_core.checkpoints.config import instantiate_model, load_config
from sam2_core.errors import CheckpointError, ConfigError, MissingFileError
from sam2_core.training import micro
from sam2_core.training.pool import open_pool
from sam2_core.training.recipe import Phase, Recipe, Work, read_recipe_config, recipe_of
from sam2_core.training.trainer import TrainerOptions
from tests.training.micro_model import small_pool

ONE = (Phase(1.0, (Work(1.0, 64, 1, 1),)),)


def recipe_in(folder: Path, *, plans: dict[str, tuple[Phase, ...]], **changed: object) -> Recipe:
    """The recipe of the checkpoint with other plans, and pools that are drawn already, in small."""
    recipe = recipe_of(read_recipe_config("micro", [f"folder={folder}", "workers=1"]))
    for name, plan in recipe.pools.items():
        if not (folder / name).exists():
            small_pool(folder / name, frames=min(plan.frames, 2))
    return replace(recipe, plans=plans, **changed)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def threads() -> object:
    """Training sets the number of torch's threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_train_go_on_and_export(tmp_path: Path) -> None:
    works = (Work(1.0, 64, 1, 2), Work(1.0, 96, 1, 1), Work(1.0, 64, 1, 1, 2))
    recipe = recipe_in(
        tmp_path,
        plans={"first": (Phase(0.5, works), Phase(1.0, works))},
        options=TrainerOptions(log_every=1, warm_up=1),
        hours=0.6 / 3600,
        steps=("train",),
        target=tmp_path / "weights" / "micro.safetensors",
    )
    micro.follow(recipe)
    assert not recipe.target.exists()
    micro.follow(replace(recipe, hours=1.2 / 3600, steps=("train", "export")))
    assert float(torch.tensor(1e-40) * 1) > 0, "the caller's denormal numbers are flushed to zero"
    assert recipe.target.stat().st_size <= 12 * 2**20
    with safe_open(recipe.target, "pt") as file:
        assert file.metadata()["sam2_image_size"] == "256"
    state = load_file(recipe.target)
    model = instantiate_model(load_config(micro.CONFIG))
    model.load_state_dict({name: value.float() for name, value in state.items()})
    # Whatever size was trained last, the frequencies are those of the configured size: 2 at 256 pixels.
    matrix = state["sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"]
    assert 1.9 < float(matrix.float().std()) < 2.1


def test_pools_are_drawn_once(tmp_path: Path) -> None:
    changes = ["stills.stacks=2", "stacks.stacks=1", "tissue.stacks=1", "motion.stacks=1"]
    sides = [f"{name}.side=48" for name in ("stills", "stacks", "tissue", "motion")]
    overrides = [f"folder={tmp_path}", "steps=[draw]", *(f"pools.{one}" for one in (*changes, *sides))]
    recipe = recipe_of(read_recipe_config("micro", overrides))
    micro.follow(recipe)
    assert {name: len(open_pool(tmp_path / name)) for name in recipe.pools} == {
        name: plan.stacks for name, plan in recipe.pools.items()
    }
    drawn = np.array(open_pool(tmp_path / "motion").images)
    assert drawn.shape == (1, 8, 48, 48)
    written = (tmp_path / "motion" / "images.npy").stat().st_mtime_ns
    micro.follow(recipe)
    assert (tmp_path / "motion" / "images.npy").stat().st_mtime_ns == written
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_run_starts_from_weights_and_goes_on_without_them(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    weights = tmp_path / "weights.safetensors"
    state = micro.build_modules(seed=5)["model"].state_dict()
    save_file({name: value.half().contiguous() for name, value in state.items()}, weights)
    recipe = recipe_in(
        folder,
        plans={"further": ONE},
        plan="further",
        options=TrainerOptions(learning_rate=1e-7, warm_up=1, weight_decay=0.0),
        hours=0.2 / 3600,
        start=weights,
    )
    micro.train(recipe)
    stopped = torch.load(folder / "checkpoint.pt", weights_only=True)
    # what is named at another call does not count: a run goes on with what it has
    micro.train(replace(recipe, hours=(stopped["extra"]["used"] + 1) / 3600, start=None, plan="first"))
    micro.export(folder, tmp_path / "exported.safetensors")
    exported = load_file(tmp_path / "exported.safetensors")
    # At so small a rate the weights are still those that the run started from.
    for name, value in exported.items():
        torch.testing.assert_close(value.float(), state[name].half().float(), atol=2e-3, rtol=2e-3)
    with safe_open(tmp_path / "exported.safetensors", "pt") as file:
        assert int(file.metadata()["steps"]) > stopped["step"]
        assert "earlier weights" in file.metadata()["started_from"]
    with pytest.raises(ConfigError, match="further"):
        micro.train(replace(recipe, plans={"first": ONE}, plan="first"))


def test_a_run_starts_from_another_run_with_its_optimiser(tmp_path: Path) -> None:
    first_run = recipe_in(
        tmp_path / "first",
        plans={"first": ONE},
        hours=0.3 / 3600,
        options=TrainerOptions(learning_rate=1e-3, warm_up=1),
    )
    micro.train(first_run)
    first = torch.load(tmp_path / "first" / "checkpoint.pt", weights_only=True)
    # At no rate the weights stay those of the first run, the optimiser's moments go on from its own.
    second_run = recipe_in(
        tmp_path / "second",
        plans={"further": ONE},
        plan="further",
        hours=0.2 / 3600,
        options=TrainerOptions(learning_rate=0.0, warm_up=1),
        start=tmp_path / "first" / "checkpoint.pt",
    )
    micro.train(second_run)
    second = torch.load(tmp_path / "second" / "checkpoint.pt", weights_only=True)
    name = "sam_mask_decoder.iou_token.weight"
    assert torch.equal(second["model"][name], first["model"][name])
    assert second["extra"]["plan"] == "further"
    steps = [float(state["optimiser"][f"model.{name}"]["step"]) for state in (first, second)]
    assert steps[1] == steps[0] + second["step"]


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path / "run", plans={"first": ONE}, hours=0.1, start=tmp_path / "missing.safetensors")
    with pytest.raises(MissingFileError, match="start"):
        micro.train(recipe)
    save_file({"other": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="does not hold"):
        micro.train(replace(recipe, start=tmp_path / "other.safetensors"))
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_the_shipped_checkpoint_fits_its_configuration() -> None:
    if not micro.WEIGHTS.exists():
        pytest.skip(f"no checkpoint at {micro.WEIGHTS}: train one with sam2 train --config-name micro")
    assert micro.WEIGHTS.stat().st_size <= 12 * 2**20
    state = load_file(micro.WEIGHTS)
    model = instantiate_model(load_config(micro.CONFIG))
    model.load_state_dict({name: value.float() for name, value in state.items()})
