"""What the built-in plugins of training add: sam2_losses, sam2_datasets, sam2_trainers, sam2_training_callbacks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sam2_core.builtin import datasets, losses, trainers, training_callbacks
from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.hooks import (
    DatasetKind,
    Loss,
    Plugins,
    Registered,
    Selection,
    TrainerKind,
    TrainingCallback,
    TrainingEvent,
    TrainingVideo,
)
from sam2_core.training.pool import draw_pool


def plugins(module: ModuleType) -> Plugins:
    known = Plugins(Selection(), strict=True)
    known.register(module, name="built-in")
    return known


@pytest.mark.parametrize("name", ["focal", "dice", "balanced", "local"])
def test_a_loss_falls_as_masks_get_better_and_has_a_gradient(name: str) -> None:
    known = plugins(losses)
    compute = known.find(Loss, name).contribution.compute
    targets = torch.zeros(2, 1, 16, 16)
    targets[:, :, 4:10, 5:11] = 1
    logits = torch.stack([targets * 2 - 1, targets * 8 - 4, 1 - targets * 2], dim=1)[:, :, 0].requires_grad_()

    found = known.call(known.find(Loss, name), compute, logits, targets)

    assert found.shape == (2, 3)
    assert (found[:, 1] < found[:, 0]).all()
    assert (found[:, 0] < found[:, 2]).all()
    (gradient,) = torch.autograd.grad(found.sum(), logits)
    assert gradient.abs().sum() > 0


def test_drawn_stacks_are_training_videos(tmp_path: Path) -> None:
    known = plugins(datasets)
    kind = known.find(DatasetKind, "drawn-stacks")
    with pytest.raises(MissingFileError):
        known.call(kind, kind.contribution.open, str(tmp_path))
    for _ in draw_pool(tmp_path, first_seed=0, stacks=2, frames=2, size=(64, 64)):
        pass

    found: Sequence[TrainingVideo] = known.call(kind, kind.contribution.open, str(tmp_path))

    assert len(found) == 2
    video = found[1]
    assert (len(video), video.image(0).shape, video.image(0).dtype) == (2, (64, 64, 3), np.uint8)
    masks = video.masks(1)
    assert masks
    assert all(mask.shape == (64, 64) and mask.dtype == bool and mask.any() for mask in masks.values())
    assert [one.name for one in found] == [found[0].name, video.name]
    with pytest.raises(IndexError):
        found[2]


def test_the_trainer_trains(tmp_path: Path) -> None:
    known = plugins(trainers)
    kind: Registered[TrainerKind] = known.find(TrainerKind, "adamw")
    network = nn.Linear(1, 1)
    before = network.weight.detach().clone()

    trainer = known.call(kind, kind.contribution.make, nn.ModuleDict({"model": network}), tmp_path, learning_rate=0.1)
    trainer.run(lambda random: ((network(torch.ones(1, 1)) ** 2).sum(), {}), lambda step: 0.0, lambda step: step >= 3)

    assert trainer.step == 3
    assert not network.weight.equal(before)


class Run:
    folder = Path()
    is_stopping = False
    done = 0.0
    reason = ""

    def stop(self, reason: str) -> None:
        self.is_stopping, self.reason = True, reason

    def report(self, event: TrainingEvent) -> None:
        raise AssertionError("nothing to report")


def on_event(**options: Any) -> Any:
    known = plugins(training_callbacks)
    kind = known.find(TrainingCallback, "stop-when-flat")
    return known.call(kind, kind.contribution.make, **options)


@pytest.mark.parametrize(
    ("values", "options", "ends_after"),
    [
        ([3, 2, 1, 0.5], {"patience": 2}, None),
        ([3, 2, 2, 2, 2], {"patience": 2}, 4),
        ([3, 2, 2.5, 1, 2, 2], {"patience": 2}, 6),
        ([3, 2.9, 2.8, 2.7], {"patience": 2, "least_gain": 0.5}, 3),
        ([1, 2, 3, 3, 3], {"patience": 2, "lower_is_better": False}, 5),
    ],
)
def test_a_training_ends_when_it_is_flat(values: list[float], options: dict[str, Any], ends_after: int | None) -> None:
    watch, run = on_event(**options), Run()

    for count, value in enumerate(values, 1):
        watch(TrainingEvent("step", count, measures={"loss": 9}), run)
        watch(TrainingEvent("validation", count, measures={"loss": value}), run)
        assert run.is_stopping == (ends_after is not None and count >= ends_after), count


def test_a_measure_that_is_not_taken_is_an_error() -> None:
    with pytest.raises(InvalidInputError, match=r"'iou'.*loss"):
        on_event(measure="iou")(TrainingEvent("validation", measures={"loss": 1}), Run())
