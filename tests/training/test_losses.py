"""Losses against the official ones, which run in a process of their own."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.errors import InvalidInputError
from sam2_core.training.losses import (
    MultiStepMultiMasksAndIous,
    PromptStep,
    actual_iou,
    balanced_loss,
    dice_loss,
    focal_loss,
    iou_loss,
    local_loss,
    sigmoid_focal_loss,
)

ORACLE = """
import sys, types
import torch
# The official module imports its trainer for one constant; the trainer needs packages that the tests do not.
stub = types.ModuleType("training.trainer"); stub.CORE_LOSS_KEY = "core_loss"; sys.modules["training.trainer"] = stub
from training import loss_fns as official
case = torch.load(sys.argv[1])
masks, truth, ious, scores = case["masks"], case["truth"], case["ious"], case["scores"]
spread = truth[0][:, None].float().expand_as(masks[0][0])
result = {
    "focal": official.sigmoid_focal_loss(masks[0][0], spread, 3.0, loss_on_multimask=True),
    "focal_flat": official.sigmoid_focal_loss(scores[0][0], (scores[0][0] > 0).float(), 3.0, alpha=-1, gamma=0.0),
    "dice": official.dice_loss(masks[0][0], spread, 3.0, loss_on_multimask=True),
    "dice_flat": official.dice_loss(masks[0][0][:, 0], spread[:, 0].flatten(1), 3.0),
    "iou": official.iou_loss(masks[0][0], spread, ious[0][0], 3.0, loss_on_multimask=True),
    "iou_l1": official.iou_loss(masks[0][0], spread, ious[0][0], 3.0, loss_on_multimask=True, use_l1_loss=True),
}
outputs = [
    {"multistep_pred_multimasks_high_res": m, "multistep_pred_ious": i, "multistep_object_score_logits": s}
    for m, i, s in zip(masks, ious, scores)
]
for number, options in enumerate(case["options"]):
    loss = official.MultiStepMultiMasksAndIous(**options)
    result[f"multi{number}"] = {k: torch.as_tensor(v) for k, v in loss(outputs, truth).items()}
torch.save(result, sys.argv[2])
"""

OPTIONS = [
    {"weight_dict": {"loss_mask": 20, "loss_dice": 1, "loss_iou": 1}},
    {
        "weight_dict": {"loss_mask": 20, "loss_dice": 1, "loss_iou": 1, "loss_class": 1},
        "supervise_all_iou": True,
        "iou_use_l1_loss": True,
        "pred_obj_scores": True,
    },
    {
        "weight_dict": {"loss_mask": 3, "loss_dice": 2, "loss_iou": 0, "loss_class": 5},
        "pred_obj_scores": True,
        "focal_alpha": 0.6,
        "focal_gamma": 1.5,
        "focal_gamma_obj_score": 2.0,
        "focal_alpha_obj_score": 0.3,
    },
]


def close(ours: torch.Tensor, official: torch.Tensor) -> None:
    torch.testing.assert_close(ours, official, rtol=1e-5, atol=1e-5)


def test_equal_to_the_official_losses(tmp_path: Path) -> None:
    if importlib.util.find_spec("training") is None:
        pytest.skip("needs the official package: pip install sam2==1.1.0")
    torch.manual_seed(0)
    frames, rounds, objects, size = 2, 2, 3, 12
    counts = (3, 1)
    truth = torch.rand(frames, objects, size, size) > 0.6
    truth[1, 2] = False
    case = {
        "masks": [[3 * torch.randn(objects, counts[r], size, size) for r in range(rounds)] for _ in range(frames)],
        "ious": [[torch.rand(objects, counts[r]) for r in range(rounds)] for _ in range(frames)],
        "scores": [[torch.randn(objects, 1) for _ in range(rounds)] for _ in range(frames)],
        "truth": truth,
        "options": OPTIONS,
    }
    torch.save(case, tmp_path / "case.pt")
    command = [sys.executable, "-c", ORACLE, str(tmp_path / "case.pt"), str(tmp_path / "result.pt")]
    subprocess.run(command, check=True, cwd=tmp_path, timeout=120)
    official = torch.load(tmp_path / "result.pt")

    masks, ious, scores = case["masks"][0][0], case["ious"][0][0], case["scores"][0][0]
    spread = truth[0][:, None].float().expand_as(masks)
    close(sigmoid_focal_loss(masks, spread, 3.0, loss_on_multimask=True), official["focal"])
    close(sigmoid_focal_loss(scores, (scores > 0).float(), 3.0, alpha=-1, gamma=0.0), official["focal_flat"])
    close(dice_loss(masks, spread, 3.0, loss_on_multimask=True), official["dice"])
    close(dice_loss(masks[:, 0], spread[:, 0], 3.0), official["dice_flat"])
    close(iou_loss(masks, spread, ious, 3.0, loss_on_multimask=True), official["iou"])
    close(iou_loss(masks, spread, ious, 3.0, loss_on_multimask=True, use_l1_loss=True), official["iou_l1"])
    steps = [
        [PromptStep(*parts) for parts in zip(*frame, strict=True)]
        for frame in zip(case["masks"], case["ious"], case["scores"], strict=True)
    ]
    for number, options in enumerate(OPTIONS):
        ours = MultiStepMultiMasksAndIous(**options)(steps, truth)
        for name, value in official[f"multi{number}"].items():
            close(ours[name], value.float())


def test_a_missing_weight_and_a_wrong_number_of_frames_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="loss_iou"):
        MultiStepMultiMasksAndIous({"loss_mask": 1, "loss_dice": 1})
    loss = MultiStepMultiMasksAndIous(OPTIONS[0]["weight_dict"])
    with pytest.raises(InvalidInputError, match="frames"):
        loss([], torch.zeros(1, 2, 4, 4))


def test_the_balanced_loss_weighs_regions_equally() -> None:
    truth = torch.zeros(1, 1, 64, 64)
    truth[..., 30:34, 30:34] = 1.0
    assert balanced_loss(torch.zeros(1, 2, 64, 64), truth).allclose(torch.tensor(0.6931), atol=1e-3)
    # All empty is wrong on the object alone: a third of the weight, however small the object.
    empty = balanced_loss(torch.full((1, 1, 64, 64), -9.0), truth)
    assert 2.9 < float(empty) < 3.1
    assert float(balanced_loss(20 * truth - 10, truth)) < 1e-3


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), objects=st.integers(1, 4), candidates=st.integers(1, 3))
def test_ranges(seed: int, objects: int, candidates: int) -> None:
    random = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(objects, candidates, 9, 7, generator=random)
    truth = (torch.rand(objects, 1, 9, 7, generator=random) > 0.5).float()
    spread = truth.expand_as(logits)
    ious = actual_iou(logits, spread)
    assert ((ious >= 0) & (ious <= 1)).all()
    assert actual_iou(20 * spread - 10, spread).allclose((truth.flatten(2).any(-1)).float().expand(-1, candidates))
    for loss in (focal_loss(logits, spread), dice_loss(logits, spread, 1.0, True), balanced_loss(logits, truth)):
        assert torch.isfinite(loss).all()
        assert (loss >= 0).all()


@settings(max_examples=25, deadline=None)
@given(radius=st.floats(1.0, 9.0, width=32), near=st.integers(1, 6), far=st.floats(0, 1))
def test_an_object_and_its_surroundings_pull_a_border_alike(radius: float, near: int, far: float) -> None:
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    targets = (torch.hypot(y - 20, x - 20) <= radius).float()[None, None]
    logits = torch.zeros(1, 2, 40, 40, requires_grad=True)

    loss = local_loss(logits, targets, near, far)
    loss[0, 0].backward()  # type: ignore[no-untyped-call]

    torch.testing.assert_close(loss.detach(), torch.full((1, 2), 0.6931472 * (1 + far)))
    assert logits.grad is not None
    pull = logits.grad[0, 0]
    inside = pull[targets[0, 0] > 0]
    beside = pull[20, 20 + int(radius) + 1]
    # Whatever the size, a cell of the object pulls up as strongly as one beside it pulls down.
    torch.testing.assert_close(inside, (-beside).expand_as(inside))
    assert float(beside) > 0
    assert (logits.grad[0, 1] == 0).all()


def test_the_local_loss_of_an_absent_object_is_that_of_the_rest() -> None:
    logits = torch.full((1, 1, 8, 8), 2.0)
    expected = 0.5 * torch.nn.functional.softplus(torch.tensor(2.0))
    torch.testing.assert_close(local_loss(logits, torch.zeros(1, 1, 8, 8), far=0.5)[0, 0], expected)
