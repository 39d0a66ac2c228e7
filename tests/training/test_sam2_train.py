"""Training steps against the official ones (same weights, batch and random numbers), and what is ours alone."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from sam2_core.checkpoints.config import instantiate_model
from sam2_core.errors import ConfigError, InvalidInputError
from sam2_core.training.batch import BatchedVideoDatapoint, BatchedVideoMetaData
from sam2_core.training.losses import MultiStepMultiMasksAndIous
from sam2_core.training.sam2_train import SAM2Train
from tests.parity.alive_weights import alive_state_dict
from tests.training.small_training import LOSS, moving_discs, small_config

POINTS = {
    "prob_to_use_pt_input_for_train": 1.0,
    "prob_to_use_box_input_for_train": 0.5,
    "prob_to_sample_from_gt_for_train": 0.3,
    "num_frames_to_correct_for_train": 3,
    "rand_frames_to_correct_for_train": True,
    "add_all_frames_to_correct_as_cond": True,
    "num_init_cond_frames_for_train": 2,
    "num_correction_pt_per_frame": 2,
}
# Options, frames, videos, training or evaluation.
CASES = {
    "masks": ({"num_init_cond_frames_for_train": 2}, 3, 2, True),
    "points": (POINTS, 3, 1, True),
    "points_not_remembered": (
        POINTS | {"add_all_frames_to_correct_as_cond": False, "rand_frames_to_correct_for_train": False}, 3, 1, True,
    ),
    "recomputed": (POINTS | {"use_act_ckpt_iterative_pt_sampling": True}, 3, 1, True),
    "one_image": ({"prob_to_use_box_input_for_train": 1.0, "num_correction_pt_per_frame": 3}, 1, 2, True),
    "evaluation": (
        {"prob_to_use_pt_input_for_eval": 1.0, "pt_sampling_for_eval": "uniform", "num_correction_pt_per_frame": 1,
         "forward_backbone_per_frame_for_eval": True, "num_frames_to_correct_for_eval": 2},
        3, 1, False,
    ),
    "frozen": ({"freeze_image_encoder": True}, 2, 2, True),
}  # fmt: skip
# A seed at which rounding switches no rectifier that matters and decides no tie.
SEED = 9


def make_batch(frames: int, **options: Any) -> BatchedVideoDatapoint:
    parts = moving_discs(frames, **options)
    count = parts["masks"].shape[1]
    metadata = BatchedVideoMetaData(torch.zeros(frames, count, 3), torch.zeros(frames, count, 2))
    return BatchedVideoDatapoint(**parts, metadata=metadata, dict_key="all")


def make_model(**options: Any) -> SAM2Train:
    model = instantiate_model(OmegaConf.create({"model": small_config(**options)}))
    assert isinstance(model, SAM2Train)
    model.load_state_dict(alive_state_dict(model.state_dict()))
    return model.train()


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> dict[str, Any]:
    if importlib.util.find_spec("training") is None:
        pytest.skip("needs the official package as oracle; install it with `make oracle`")
    folder = tmp_path_factory.mktemp("official")
    cases = [
        {
            "config": small_config(**options),
            "training": training,
            "loss": LOSS,
            "seed": SEED,
            "batch": moving_discs(frames, videos),
        }
        for options, frames, videos, training in CASES.values()
    ]
    torch.save(cases, folder / "cases.pt")
    command = [sys.executable, "-m", "tests.training.official_step", "cases.pt", "results.pt"]
    environment = os.environ | {"PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, cwd=folder, timeout=300, env=environment)
    return dict(zip(CASES, torch.load(folder / "results.pt"), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_a_step_is_the_official_one(name: str, official: dict[str, Any]) -> None:
    options, frames, videos, training = CASES[name]
    model = make_model(**options).train(training)
    batch = make_batch(frames, videos=videos)
    torch.manual_seed(SEED)

    outputs = model(batch)
    losses = MultiStepMultiMasksAndIous(**LOSS)(outputs, batch.masks)
    losses["core_loss"].backward()  # type: ignore[no-untyped-call]

    expected = official[name]
    assert [len(frame) for frame in outputs] == expected["rounds"]
    for frame, points, masks in zip(outputs, expected["points"], expected["masks"], strict=True):
        if points is None:
            assert frame.points[-1] is None
        else:
            assert torch.equal(frame.points[-1].labels, points["point_labels"])
            torch.testing.assert_close(frame.points[-1].coords, points["point_coords"], check_dtype=False)
        largest = float(masks.abs().max())
        torch.testing.assert_close(frame[-1].masks.detach(), masks, atol=1e-4 * largest, rtol=1e-4)
    for key, value in expected["losses"].items():
        torch.testing.assert_close(losses[key].detach(), value.float(), atol=1e-5, rtol=1e-4)
    gradients = {key: p.grad for key, p in model.named_parameters() if p.grad is not None}
    given = {key: value for key, value in expected["gradients"].items() if value.abs().max() > 0}
    assert {key for key, value in gradients.items() if value.abs().max() > 0} == set(given)
    assert len(given) > 60
    scale = max(float(value.norm()) for value in given.values())
    for key, value in given.items():
        # of each tensor's own size, and for tensors whose gradients cancel almost, of the whole gradient's
        difference = float((gradients[key] - value).norm())
        assert difference <= 1e-4 * max(float(value.norm()), 1e-3 * scale), f"{key}: {difference} of {value.norm()}"


def test_frames_without_labels_are_tracked_but_not_judged() -> None:
    model = make_model(**POINTS)
    batch = make_batch(4)
    batch.labelled = torch.ones(4, 2, dtype=torch.bool)
    batch.labelled[1] = batch.labelled[2, 1] = False
    for seed in range(3):
        torch.manual_seed(seed)
        outputs = model(batch)
        assert [len(outputs[1]), len(outputs[2])] == [1, 1]
    loss = MultiStepMultiMasksAndIous(**LOSS)
    one = loss(outputs, batch.masks, batch.labelled)
    scrambled = batch.masks.clone()
    scrambled[1] = ~scrambled[1]
    scrambled[2, 1] = ~scrambled[2, 1]
    other = loss(outputs, scrambled, batch.labelled)
    for name, value in one.items():
        assert torch.equal(value, other[name])
    assert float(loss(outputs, scrambled)["core_loss"].detach()) > 1.01 * float(one["core_loss"].detach())


def test_tracking_from_an_unlabelled_frame_is_refused() -> None:
    batch = make_batch(3)
    batch.labelled = torch.tensor([[False, True], [True, True], [True, True]])
    with pytest.raises(InvalidInputError, match="frame 0"):
        make_model()(batch)


def test_an_object_that_is_not_there_gets_no_box() -> None:
    model = make_model(prob_to_use_pt_input_for_train=1.0, prob_to_use_box_input_for_train=1.0)
    batch = make_batch(1)
    batch.masks[0, 1] = False
    points = model(batch)[0].points[0]
    assert points.labels.tolist() == [[2, 3], [0, -1]]
    x, y = points.coords[1, 0].long().tolist()
    assert not batch.masks[0, 1, y, x]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prob_to_use_pt_input_for_train": 0.5, "num_init_cond_frames_for_train": 2}, "fewer than 2 prompted"),
        ({"prob_to_use_box_input_for_eval": 1.5}, "probability"),
        ({"num_init_cond_frames_for_train": 0}, "at least one"),
        ({"pt_sampling_for_eval": "corner"}, "corner"),
        ({"num_correction_pt_per_frame": -1}, "0 or more"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_model(**options)
