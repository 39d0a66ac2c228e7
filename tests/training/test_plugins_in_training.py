"""A training with a plugin's loss, metric, data, callback and listener, and what becomes of those that fail."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sam2_core.errors import ConfigError, InvalidInputError, PluginError
from sam2_core.hooks import (
    DatasetKind,
    Loss,
    Metric,
    Plugins,
    PluginWarning,
    Selection,
    TrainingCallback,
    TrainingEvent,
    TrainingRun,
    hookimpl,
    using_plugins,
)
from sam2_core.training import launch
from sam2_core.training.losses import MultiStepMultiMasksAndIous, PromptStep
from sam2_core.training.named_losses import NamedLosses, named_losses
from sam2_core.training.training_config import load_training_config
from tests.training.training_scene import SIZE, small_run

if importlib.util.find_spec("lightning_fabric") is None:
    pytest.skip("needs lightning-fabric; install it with pip install 'sam2-lab[train]'", allow_module_level=True)


@dataclass
class Disc:
    """A disc that moves; the second frame is not labelled."""

    name: str
    broken: bool = False

    def __len__(self) -> int:
        return 3

    def image(self, frame: int) -> NDArray[np.uint8]:
        if self.broken:
            raise RuntimeError("the disk is a frisbee")
        return np.repeat((40 + 150 * self._mask(frame)).astype(np.uint8)[..., None], 3, axis=2)

    def masks(self, frame: int) -> Mapping[int, NDArray[np.bool_]] | None:
        return None if frame == 1 else {7: self._mask(frame)}

    def _mask(self, frame: int) -> NDArray[np.bool_]:
        y, x = np.mgrid[:SIZE, :SIZE]
        return np.asarray((y - 30) ** 2 + (x - 20 - 4 * frame) ** 2 < 150)


class Lab:
    """A plugin that adds one thing of each kind that a training can use, all sound."""

    def __init__(self) -> None:
        self.heard: list[TrainingEvent] = []
        self.done: list[float] = []
        self.folder: Path | None = None
        self.stop_at: int | None = None

    @hookimpl
    def sam2_losses(self) -> list[Loss]:
        def plain(logits: Tensor, targets: Tensor, *, sharpness: float = 1.0) -> Tensor:
            return F.binary_cross_entropy_with_logits(
                sharpness * logits, targets.expand_as(logits), reduction="none"
            ).mean(dim=(-2, -1))

        return [Loss("plain", "cross-entropy", compute=plain)]

    @hookimpl
    def sam2_metrics(self) -> list[Metric]:
        def missed(frames: Iterable[tuple[Any, Any]]) -> Mapping[str, float]:
            pairs = list(frames)
            share = sum(float(((said == 0) & (true > 0)).sum() / (true > 0).sum()) for said, true in pairs)
            return {"missed": share / len(pairs), "frames": len(pairs)}

        return [Metric("missed", "share of the object that is missed", measure=missed, better="lower")]

    @hookimpl
    def sam2_datasets(self) -> list[DatasetKind]:
        def discs(source: str, *, count: int = 1, broken: bool = False) -> list[Disc]:
            return [Disc(f"{source} {index}", broken) for index in range(count)]

        return [DatasetKind("discs", "drawn discs", open=discs)]

    @hookimpl
    def sam2_training_callbacks(self) -> list[TrainingCallback]:
        def watch() -> Callable[[TrainingEvent, TrainingRun], None]:
            def on_event(event: TrainingEvent, run: TrainingRun) -> None:
                self.folder = run.folder
                self.done.append(run.done)
                if event.kind == "step" and event.step == self.stop_at:
                    run.stop("seen enough")

            return on_event

        return [TrainingCallback("watch", "watches", make=watch)]

    @hookimpl
    def sam2_training_event(self, event: TrainingEvent) -> None:
        self.heard.append(event)


class Broken:
    """A plugin all of whose things fail when they are used."""

    @hookimpl
    def sam2_losses(self) -> list[Loss]:
        return [
            Loss("flat", "one number", compute=lambda logits, targets: logits.mean()),
            Loss("detached", "no gradient", compute=lambda logits, targets: logits.detach().mean(dim=(2, 3))),
        ]

    @hookimpl
    def sam2_metrics(self) -> list[Metric]:
        return [Metric("wordy", "no number", measure=lambda frames: {"good": "very"})]  # type: ignore[dict-item]

    @hookimpl
    def sam2_training_callbacks(self) -> list[TrainingCallback]:
        def fall() -> Any:
            def on_event(event: TrainingEvent, run: TrainingRun) -> None:
                raise RuntimeError("fell over")

            return on_event

        return [
            TrainingCallback("falls", "fails at once", make=fall),
            TrainingCallback("absent", "makes nothing", make=lambda: None),  # type: ignore[arg-type, return-value]
        ]


@pytest.fixture
def lab() -> Iterator[Lab]:
    plugins = Plugins(Selection(only_builtin=True), strict=False)
    plugins.load_installed()
    lab = Lab()
    plugins.register(lab, name="lab")
    plugins.register(Broken(), name="broken")
    with using_plugins(plugins):
        yield lab


def train(folder: Path, *overrides: str, listeners: Any = ()) -> str | None:
    options = ["data.kind=discs", "data.source=here", "data.num_frames=3", "scratch.num_epochs=2", *overrides]
    return launch.train(small_run(folder, *options, base="finetune_dataset"), listeners)


def test_everything_of_a_plugin_is_used_by_name(lab: Lab, tmp_path: Path) -> None:
    told: list[TrainingEvent] = []
    reason = train(
        tmp_path,
        "trainer.mode=train",
        "trainer.loss=[{name: plain, weight: 2.0, options: {sharpness: 0.5}}]",
        "+trainer.meters.val.all.shape=missed",
        "+trainer.meters.val.all.overlap={name: object-iou, options: {by_number: true}}",
        "trainer.callbacks=[watch, {name: stop-when-flat, options: {patience: 9}}]",
        "trainer.checkpoint.save_best_meters=[val_all/shape]",
        "data.options={count: 2}",
        "data.train_videos=[0,1]",
        "data.val_videos=[1,2]",
        listeners=[told.append],
    )

    assert reason is None
    assert lab.heard == told
    assert [event.kind for event in told if event.kind != "checkpoint"] == [
        "start", "step", "validation", "step", "validation", "end",
    ]  # fmt: skip
    assert (lab.done[0], lab.done[-1]) == (0.0, 1.0)
    assert lab.done == sorted(lab.done)
    assert lab.folder == tmp_path / "run"
    trained = json.loads((tmp_path / "run/logs/train_stats.json").read_text().splitlines()[0])
    parts = {name: trained[f"Losses/train_all_loss_{name}"] for name in ("mask_plain", "iou", "class")}
    assert trained["Losses/train_all_loss"] == pytest.approx(2 * parts["mask_plain"] + parts["iou"] + parts["class"])
    validation = next(event for event in told if event.kind == "validation")
    assert validation.measures["loss"] == validation.measures["Losses/val_all_loss"]
    # the frame that nobody labelled is not measured
    assert validation.measures["Meters_train/val_all/shape/frames"] == 2
    assert 0 <= validation.measures["Meters_train/val_all/shape/missed"] <= 1
    assert 0 <= validation.measures["Meters_train/val_all/overlap/mean IoU"] <= 1
    best = json.loads((tmp_path / "run/logs/best_stats.json").read_text().splitlines()[-1])
    shares = [e.measures["Meters_train/val_all/shape/missed"] for e in told if e.kind == "validation"]
    assert best["val_all/shape/missed"] == min(shares)
    assert "val_all/shape/frames" not in best  # says nothing of better and worse
    assert (tmp_path / "run/checkpoints/val_all_shape_missed.pt").exists()


def test_a_callback_ends_the_training_and_its_weights_are_written(lab: Lab, tmp_path: Path) -> None:
    lab.stop_at = 1

    assert train(tmp_path, "trainer.callbacks=[watch]", "data.repeats=3") is None
    assert [event.step for event in lab.heard if event.kind == "step"] == [1]
    assert lab.heard[-1].kind == "end"
    assert (tmp_path / "run/checkpoints/model.safetensors").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.loss=flat", "loss 'flat' failed. plugin broken"),
        ("trainer.loss=detached", "loss 'detached' failed. plugin broken .*no gradient"),
        ("+trainer.meters.val.all.shape=wordy", "metric 'wordy' failed. plugin broken"),
        ("trainer.callbacks=[falls]", "training callback 'falls' failed. plugin broken .*fell over"),
        ("trainer.callbacks=[absent]", "training callback 'absent' failed. plugin broken"),
        ("data.options={broken: true}", "dataset kind 'discs' failed. plugin lab .*frisbee"),
    ],
)
def test_a_plugin_that_fails_is_named(lab: Lab, tmp_path: Path, override: str, message: str) -> None:
    mode = "val" if "meters" in override else "train_only"
    with pytest.raises(PluginError, match=message):
        train(tmp_path, override, f"trainer.mode={mode}")
    assert [event.kind for event in lab.heard[-1:]] == ([] if "absent" in override else ["failed"])


def test_a_listener_that_fails_is_switched_off_and_the_training_goes_on(lab: Lab, tmp_path: Path) -> None:
    class Deaf:
        @hookimpl
        def sam2_training_event(self, event: TrainingEvent) -> None:
            raise RuntimeError("what?")

    from sam2_core.hooks import get_plugins

    get_plugins().register(Deaf(), name="deaf")
    with pytest.warns(PluginWarning, match="deaf"):
        assert train(tmp_path, "scratch.num_epochs=1") is None
    assert lab.heard[-1].kind == "end"


@pytest.mark.parametrize(
    ("override", "kind", "message"),
    [
        ("trainer.loss=plane", PluginError, "no loss named 'plane'.*plain"),
        ("trainer.loss=[plain,plain]", ConfigError, "named twice"),
        ("trainer.loss=[{name: plain, weight: -1}]", ConfigError, "0 or more"),
        ("trainer.loss=[{name: plain, options: {sharp: 1}}]", InvalidInputError, "sharp"),
        ("+trainer.loss.name=plain", ConfigError, "takes the place of the whole loss"),
        ("+trainer.meters.val.all.shape=mist", PluginError, "no metric named 'mist'.*missed"),
        ("trainer.callbacks=[{patience: 3}]", ConfigError, r"trainer.callbacks\[0\] has to be a name"),
        ("data.kind=disks", PluginError, "no dataset kind named 'disks'.*discs"),
        ("data.train_videos=[0,2]", InvalidInputError, "part of 0 to 1"),
    ],
)
def test_what_is_not_there_is_refused_before_the_first_step(
    lab: Lab, tmp_path: Path, override: str, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        train(tmp_path, override)
    assert lab.heard == []


def test_named_losses_with_official_weights_are_the_official_loss(lab: Lab) -> None:
    chance = torch.Generator().manual_seed(0)
    truth = torch.rand(1, 2, 16, 16, generator=chance) > 0.5
    truth[0, 1] = False
    step = PromptStep(
        torch.randn(2, 3, 16, 16, generator=chance).requires_grad_(),
        torch.rand(2, 3, generator=chance),
        torch.randn(2, 1, generator=chance),
    )
    official = MultiStepMultiMasksAndIous(
        {"loss_mask": 20, "loss_dice": 1, "loss_iou": 1, "loss_class": 1},
        supervise_all_iou=True, iou_use_l1_loss=True, pred_obj_scores=True,
    )  # fmt: skip
    named = NamedLosses([{"name": "focal", "weight": 20}, "dice"])

    expected, found = official([[step]], truth), named([[step]], truth)

    torch.testing.assert_close(found["core_loss"], expected["core_loss"])
    torch.testing.assert_close(found["loss_mask_focal"], expected["loss_mask"])
    torch.testing.assert_close(found["loss_mask_dice"], expected["loss_dice"])


def test_a_list_of_losses_takes_the_place_of_what_a_configuration_builds_on(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "base: finetune_2d\ntrainer: {loss: {all: [{name: focal, weight: 20}, dice]}, accumulate: 2}\n"
    )
    config = load_training_config(str(tmp_path / "mine.yaml"))

    assert config.trainer.loss.all == [{"name": "focal", "weight": 20}, "dice"]
    assert config.trainer.accumulate == 2
    assert config.trainer.mode == "train_only"


def test_names_become_losses_for_their_data_keys_alone() -> None:
    official = {"_target_": "training.loss_fns.MultiStepMultiMasksAndIous"}
    found = named_losses({"a": "dice", "b": official, "c": {"name": "focal"}})

    assert found["b"] == official
    assert found["a"] == {"_target_": "sam2_core.training.named_losses.NamedLosses", "masks": "dice"}
    assert found["c"]["masks"] == {"name": "focal"}
