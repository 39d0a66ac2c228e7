"""Trainings from a configuration: to the end, stopped and killed and gone on with, in two processes, and into walls."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sam2_core.checkpoints import allow_target
from sam2_core.checkpoints.config import instantiate_model
from sam2_core.errors import ConfigError, DivergedError, InvalidInputError, MissingFileError
from sam2_core.hooks import TrainingEvent
from sam2_core.training import launch
from sam2_core.training.training_config import load_training_config, training_config_names
from tests.training.official_data import write_files
from tests.training.training_scene import Signaller, small_run, train_in_two_processes, write_stack

if importlib.util.find_spec("lightning_fabric") is None:
    pytest.skip("needs lightning-fabric; install it with pip install 'sam2-lab[train]'", allow_module_level=True)

#: Two frames begin a video, so that an epoch has two steps.
SHORT = ("data.train_frames=[0,3]", "scratch.num_epochs=2")


def train(folder: Path, *overrides: str, listeners: Sequence[Any] = ()) -> str | None:
    write_stack(folder)
    return launch.train(small_run(folder, *overrides), listeners)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "run" / "checkpoints" / "model.safetensors")


def losses(folder: Path) -> dict[int, float]:
    """Loss of each step; of one that was taken twice, the later."""
    lines = (folder / "run" / "logs" / "log.jsonl").read_text().splitlines()
    return {line["step"]: line["loss"] for line in map(json.loads, lines)}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert train(folder, *SHORT) is None
    return folder


def test_a_run_that_was_stopped_and_killed_is_the_same_run(undisturbed: Path, tmp_path: Path, repository: Path) -> None:
    expected = losses(undisturbed)
    assert sorted(expected) == [1, 2, 3, 4]
    assert len(set(expected.values())) == 4

    def stop(event: TrainingEvent) -> None:
        if event.kind == "step" and event.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    # stopped in the middle of an epoch
    assert train(tmp_path, *SHORT, listeners=[stop]) == "received SIGTERM"
    assert losses(tmp_path) == {1: expected[1]}
    assert not (tmp_path / "run" / "checkpoints" / "model.safetensors").exists()
    # killed in a process of its own, one step after its last checkpoint
    command = [sys.executable, "-m", "tests.training.training_scene", str(tmp_path), "1", *SHORT]
    command += ["trainer.checkpoint.save_minutes=0", "--kill-at", "3"]
    environment = os.environ | {"PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"}
    assert subprocess.run(command, timeout=300, env=environment).returncode == -signal.SIGKILL
    assert torch.load(tmp_path / "run" / "checkpoints" / "checkpoint.pt", weights_only=True)["step"] == 2
    # and to the end
    assert train(tmp_path, *SHORT) is None
    assert losses(tmp_path) == expected
    for name, value in weights(undisturbed).items():
        assert torch.equal(value, weights(tmp_path)[name]), name


def test_two_processes_train_what_one_does_with_twice_the_batch(tmp_path: Path) -> None:
    # prompted with masks: where clicks fall is drawn for a whole batch
    both = ["data.train_frames=[0,5]", "scratch.num_epochs=1", "trainer.model.prob_to_use_pt_input_for_train=0.0"]
    train(tmp_path / "one", *both, "data.batch_size=2")
    write_stack(tmp_path / "two")
    train_in_two_processes(tmp_path / "two", *both, "data.batch_size=1")
    require_the_same_training(tmp_path / "one", tmp_path / "two")
    assert sorted(losses(tmp_path / "one")) == sorted(losses(tmp_path / "two")) == [1, 2]


@pytest.mark.parametrize("to_the_end", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_sharded_over_two_processes_it_is_the_same_run_and_checkpoints_fit_either(
    tmp_path: Path, to_the_end: bool
) -> None:
    both = [
        "data.train_frames=[0,5]",
        "trainer.mode=train",
        "trainer.averaging=0.9",
        "trainer.model.prob_to_use_pt_input_for_train=0.0",
        "trainer.checkpoint.save_best_meters=[Losses/val_all_loss]",
    ]
    alone, sharded = "data.batch_size=2", ["data.batch_size=1", "trainer.distributed.strategy=fsdp"]
    train(tmp_path / "one", *both, alone)
    # one process, two that share the weights from the middle of an epoch to the middle of the next, one again
    parts = tmp_path / "parts"
    assert train(parts, *both, alone, listeners=[Signaller(1, signal.SIGTERM)]) is not None
    train_in_two_processes(parts, *both, *sharded, "--stop-at", "3")
    kept = torch.load(parts / "run/checkpoints/checkpoint.pt", weights_only=True)
    assert kept["step"] == 3
    whole = torch.load(tmp_path / "one/run/checkpoints/checkpoint.pt", weights_only=True)
    for part in ("model", "average"):
        assert {name: value.shape for name, value in kept[part].items()} == {
            name: value.shape for name, value in whole[part].items()
        }
    assert (parts / "run/checkpoints/Losses_val_all_loss.pt").exists()
    assert train(parts, *both, alone) is None
    require_the_same_training(tmp_path / "one", parts)
    expected, found = losses(tmp_path / "one"), losses(parts)
    assert sorted(expected) == sorted(found) == [1, 2, 3, 4]
    if not to_the_end:
        return
    # in two: what they export is whole
    shutil.copytree(parts, tmp_path / "end")
    (tmp_path / "end/run/checkpoints/model.safetensors").unlink()
    torch.save(kept, tmp_path / "end/run/checkpoints/checkpoint.pt")
    train_in_two_processes(tmp_path / "end", *both, *sharded)
    require_the_same_training(tmp_path / "one", tmp_path / "end")


def require_the_same_training(first: Path, second: Path) -> None:
    """Compare the weights of two runs with how far they moved."""
    one, two = weights(first), weights(second)
    start = weights_at_the_start()
    assert one.keys() == two.keys()
    moved = sum(float((one[name] - value).square().sum()) for name, value in start.items()) ** 0.5
    apart = sum(float((one[name] - two[name]).square().sum()) for name in start) ** 0.5
    assert moved > 0.1
    # Adam's first steps are as long for a gradient of rounding errors as for a large one: its sign may differ there
    assert apart < 0.02 * moved


def weights_at_the_start() -> dict[str, torch.Tensor]:
    """The weights that every run of the scene begins with."""
    from omegaconf import OmegaConf

    from tests.training.small_training import small_config

    torch.manual_seed(1)
    return dict(instantiate_model(OmegaConf.create({"model": small_config(image_size=64)})).named_parameters())


def test_validation_keeps_the_best_and_writes_what_it_found(tmp_path: Path) -> None:
    events: list[TrainingEvent] = []
    train(
        tmp_path,
        *SHORT,
        "trainer.mode=train",
        "trainer.checkpoint.save_best_meters=[val_all/iou/iou_1_clicks,Losses/val_all_loss]",
        "trainer.checkpoint.save_list=[1]",
        "trainer.accumulate=2",
        "trainer.activation_checkpointing=true",
        listeners=[events.append],
    )
    logs = tmp_path / "run" / "logs"
    found = [json.loads(line) for line in (logs / "val_stats.json").read_text().splitlines()]
    assert len(found) == 2
    expected = {"Losses/val_all_loss", "Meters_train/val_all/iou/iou_1_clicks", "Trainer/epoch"}
    assert expected | {f"Meters_train/val_all/tracking/{name}" for name in ("J&F", "J", "F")} <= set(found[0])
    assert 0 <= found[0]["Meters_train/val_all/tracking/J&F"] <= 100
    best = json.loads((logs / "best_stats.json").read_text().splitlines()[-1])
    assert best["Losses/val_all_loss"] == min(each["Losses/val_all_loss"] for each in found)
    names = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    wanted = {"checkpoint.pt", "checkpoint_1.pt", "val_all_iou_iou_1_clicks.pt", "Losses_val_all_loss.pt"}
    assert names == wanted | {"model.safetensors"}
    assert [event.kind for event in events if event.kind != "checkpoint"] == [
        "start", "step", "validation", "step", "validation", "end",
    ]  # fmt: skip
    assert events[-1].step == events[-1].total_steps == 2
    assert events[-1].eta_seconds == 0
    assert (tmp_path / "run" / "config_resolved.yaml").exists()


def test_tensorboard_gets_numbers_and_pictures(tmp_path: Path) -> None:
    if importlib.util.find_spec("tensorboard") is None:
        pytest.skip("needs tensorboard; install it with pip install 'sam2-lab[train]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = {"_target_": "training.utils.logger.make_tensorboard_logger", "log_dir": str(tmp_path / "board")}
    write_stack(tmp_path)
    config = small_run(tmp_path, "data.train_frames=[0,2]", "scratch.num_epochs=1")
    config.trainer.logging.tensorboard_writer = board
    launch.train(config)
    events = EventAccumulator(str(tmp_path / "board")).Reload()
    tags = events.Tags()
    assert "Step_Losses/train_all_loss" in tags["scalars"]
    assert "Losses/train_all_loss_dice" in tags["scalars"]
    (picture,) = events.Images("Predictions/train")
    assert (picture.height, picture.width) == (128, 128)


def test_adapters_train_alone_and_are_merged_into_official_keys(undisturbed: Path, tmp_path: Path) -> None:
    train(
        tmp_path, "data.train_frames=[0,2]", "scratch.num_epochs=1", "trainer.lora={rank: 2}", "trainer.averaging=0.0"
    )
    merged = weights(tmp_path)
    assert merged.keys() == weights(undisturbed).keys()
    start = weights_at_the_start()
    changed = {name for name, value in start.items() if not torch.equal(merged[name], value)}
    assert len(changed) > 10
    # the product of rank two beside the weight is all that changed
    assert all(name.endswith((".qkv.weight", "proj.weight")) for name in changed)
    name = "image_encoder.trunk.blocks.0.attn.qkv.weight"
    singular = torch.linalg.svdvals((merged[name] - start[name]).detach().double())
    assert float(singular[1]) > 0
    assert float(singular[2]) < 1e-5 * float(singular[0])


def test_frozen_parts_stay_out_of_checkpoints(tmp_path: Path) -> None:
    initial = tmp_path / "initial.pt"
    torch.save({"model": {name: value.detach() for name, value in weights_at_the_start().items()}}, initial)
    frozen = [
        "data.train_frames=[0,2]",
        "scratch.num_epochs=1",
        "trainer.freeze=[image_encoder.*]",
        "trainer.checkpoint.skip_saving_parameters=[image_encoder.*]",
    ]
    train(tmp_path, *frozen)
    saved = torch.load(tmp_path / "run" / "checkpoints" / "checkpoint.pt", weights_only=True)
    assert saved["model"]
    assert not any(name.startswith("image_encoder") for name in saved["model"])
    assert any(name.startswith("image_encoder") for name in weights(tmp_path))
    with pytest.raises(ConfigError, match="cannot leave out what is trained"):
        train(tmp_path / "other", *frozen[:2], frozen[3])


class GradientLog:
    """Keeps what it is called with; as an official configuration may name one."""

    seen: ClassVar[list[tuple[float, int, float]]] = []

    def __call__(self, model: torch.nn.Module, *, rank: int, where: float) -> None:
        norms = [float(p.grad.norm()) for p in model.parameters() if p.grad is not None]
        self.seen.append((max(norms), rank, where))


def test_options_of_official_configurations_that_few_use(tmp_path: Path) -> None:
    GradientLog.seen.clear()
    name = f"{__name__}.GradientLog"
    allow_target(name)
    options = [f"+trainer.optim.gradient_logger={{_target_: {name}}}", "+trainer.optim_overrides=null"]
    assert train(tmp_path, *SHORT, *options) is None
    assert [(rank, where) for _, rank, where in GradientLog.seen] == [(0, 0.0), (0, 0.25), (0, 0.5), (0, 0.75)]
    assert all(norm > 0 for norm, _, _ in GradientLog.seen)


def test_a_loss_that_breaks_stops_the_run_and_keeps_the_batch(tmp_path: Path) -> None:
    events: list[TrainingEvent] = []
    with pytest.raises(DivergedError, match="The batch is saved as") as caught:
        train(tmp_path, "trainer.loss.all.weight_dict.loss_mask=nan", listeners=[events.append])
    path = Path(str(caught.value).split("saved as ")[1].removesuffix("."))
    batch = torch.load(path, weights_only=True)
    assert batch["masks"].shape[0] == 2
    assert bool(torch.isfinite(batch["img_batch"]).all())
    assert [event.kind for event in events] == ["start", "failed"]
    assert isinstance(events[-1].error, DivergedError)


@pytest.mark.parametrize(
    ("overrides", "kind", "message"),
    [
        (["trainer.mode=train", "trainer.data.val=null"], ConfigError, "no validation data"),
        (["trainer.mode=train", "data.val_frames=[6,6]"], InvalidInputError, "part of 0 to 6"),
        (["data.num_frames=9"], InvalidInputError, "num_frames lower"),
        (["data.images=nowhere.tif"], MissingFileError, "nowhere.tif"),
        (["trainer.accelerator=cuda"], ConfigError, "trainer.accelerator=cpu"),
        (["trainer.optim.optimizer._target_=os.system"], ConfigError, "not allowed"),
        (["trainer.optim.optimizer.momentum_of_inertia=1", ], ConfigError, "does not exist"),
        (["trainer.freeze=[nothing.*]"], ConfigError, "matches no name"),
        (["trainer.checkpoint.weights=nowhere.pt"], LookupError, "nowhere.pt"),
        (["trainer.checkpoint.resume_from=nowhere.pt"], MissingFileError, "resume_from"),
        (["+trainer.distribution.strategy=fsdp"], ConfigError, "trainer has no option 'distribution'; it has data"),
        (["+trainer.checkpoint.save_often=1"], ConfigError, "trainer.checkpoint has no option 'save_often'"),
        (["~trainer.checkpoint"], ConfigError, "trainer lacks checkpoint"),
        (["trainer.distributed.strategy=zero"], ConfigError, '"ddp" or "fsdp"'),
        (["trainer.accumulate=50"], InvalidInputError, "fewer than the 50"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(tmp_path: Path, overrides: list[str], kind: type[Exception], message: str) -> None:
    if "cuda" in overrides[0] and torch.cuda.is_available():
        pytest.skip("needs a machine without a GPU")
    with pytest.raises(kind, match=message):
        train(tmp_path, *overrides)
    assert not list(tmp_path.glob("run/checkpoints/*.pt"))


def test_labels_of_another_shape_are_refused(tmp_path: Path) -> None:
    import tifffile

    write_stack(tmp_path)
    tifffile.imwrite(tmp_path / "small.tif", np.zeros((6, 20, 20), np.uint8), photometric="minisblack")
    with pytest.raises(InvalidInputError, match="one shape"):
        launch.train(small_run(tmp_path, f"data.labels={tmp_path / 'small.tif'}"))


SMALLER = (
    "trainer.model.image_encoder.trunk.embed_dim=16",
    "trainer.model.image_encoder.trunk.num_heads=1",
    "+trainer.model.image_encoder.trunk.stages=[1,2,3,1]",
    "+trainer.model.image_encoder.trunk.global_att_blocks=[4]",
    "trainer.model.image_encoder.neck.backbone_channel_list=[128,64,32,16]",
    "scratch.resolution=64",
    "scratch.num_frames=2",
    "scratch.num_train_workers=0",
    "scratch.num_epochs=1",
    "dataset.multiplier=1",
    "trainer.accelerator=cpu",
    "launcher.gpus_per_node=1",
)


def test_the_official_fine_tuning_configuration_runs_as_it_is(tmp_path: Path) -> None:
    found = importlib.util.find_spec("training")
    if found is None or found.origin is None:
        pytest.skip("needs the official package as oracle; install it with `make oracle`")
    official = Path(found.origin).parents[1] / "sam2/configs/sam2.1_training/sam2.1_hiera_b+_MOSE_finetune.yaml"
    write_files(tmp_path)
    paths = [
        f"dataset.img_folder={tmp_path / 'images'}",
        f"dataset.gt_folder={tmp_path / 'palette'}",
        "dataset.file_list_txt=null",
        "trainer.checkpoint.model_weight_initializer=null",
        f"launcher.experiment_log_dir={tmp_path / 'run'}",
    ]
    assert launch.train(launch.prepared(str(official), [*paths, *SMALLER])) is None
    stats = json.loads((tmp_path / "run/logs/train_stats.json").read_text())
    assert stats["Trainer/steps_train"] == 2
    assert np.isfinite(stats["Losses/train_all_loss"])


def test_ready_configurations_are_complete() -> None:
    names = training_config_names()
    assert {"finetune_2d", "finetune_3d", "finetune_time", "decoder_only", "lora", "image_only"} <= set(names)
    for name in set(names) - {"micro"}:  # a recipe: see test_recipe.py
        config = load_training_config(name, ["++data.images=a", "++data.labels=b", "++dataset.img_folder=a"])
        assert config.trainer.model._target_.endswith("SAM2Train")
        assert config.trainer.data.train.datasets[0]
        assert config.trainer.loss.all
    with pytest.raises(ConfigError, match="finetune_2d"):
        load_training_config("finetune_5d")


def test_slurm_parameters() -> None:
    options = {
        "timeout_hour": 2, "name": "fit", "partition": "gpu", "account": "us", "cpus_per_task": 10, "mem_gb": 64,
        "exclude_nodes": ["a", "b"], "include_nodes": ["c", "d"], "constraints": "v100",
        "srun_args": {"cpu_bind": "none"},
    }  # fmt: skip
    found = launch.slurm_parameters(options, {"num_nodes": 2, "gpus_per_node": 4, "experiment_log_dir": "logs/x"})
    assert found == {
        "timeout_min": 120, "name": "fit", "gpus_per_node": 4, "tasks_per_node": 4, "nodes": 2, "cpus_per_task": 10,
        "mem_gb": 64, "slurm_partition": "gpu", "slurm_constraint": "v100", "slurm_srun_args": ["--cpu-bind", "none"],
        "slurm_additional_parameters": {"exclude": "a,b", "nodelist": "c,d", "account": "us"},
    }  # fmt: skip
    with pytest.raises(ConfigError, match="2 are needed"):
        launch.slurm_parameters(
            {"include_nodes": ["c"]}, {"num_nodes": 2, "gpus_per_node": 1, "experiment_log_dir": "x"}
        )
