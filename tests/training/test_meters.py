"""IoU after each click, counted as documented."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sam2_core.model import FrameOutput, PointPrompts
from sam2_core.training.batch import BatchedVideoDatapoint, BatchedVideoMetaData
from sam2_core.training.losses import PromptStep
from sam2_core.training.meters import Averages, ClickIoU
from sam2_core.training.sam2_train import TrackedFrame

POINTS = PointPrompts(torch.zeros(2, 1, 2), torch.ones(2, 1))


def frame(*rounds: tuple[Tensor, Tensor], points: PointPrompts | None = POINTS, is_given: bool = False) -> TrackedFrame:
    steps = tuple(PromptStep(masks, scores, torch.ones(2, 1)) for masks, scores in rounds)
    nothing = torch.zeros(2, 1, 4, 4)
    output = FrameOutput(nothing, nothing, nothing[:, :, 0, 0], nothing, nothing, nothing[:, 0, 0], torch.ones(2, 1))
    return TrackedFrame(steps, (points,) * len(steps), output, is_given)


def batch(masks: Tensor, labelled: Tensor | None = None) -> BatchedVideoDatapoint:
    metadata = BatchedVideoMetaData(torch.zeros(0), torch.zeros(0))
    return BatchedVideoDatapoint(torch.zeros(0), torch.zeros(0), masks, metadata, "all", labelled)


def test_clicks_and_tracked_frames_are_counted_apart() -> None:
    truth = torch.zeros(3, 2, 4, 4, dtype=torch.bool)
    truth[:, 0, :2] = True  # eight pixels; the second object is nowhere
    half = torch.full((2, 2, 4, 4), -1.0)
    half[0, 1, 0] = 1.0  # four of them, in the better scored candidate
    right = torch.where(truth[0, :, None], 1.0, -1.0)
    scores = torch.tensor([[0.2, 0.9], [0.9, 0.2]])
    meter = ClickIoU(clicks=2)
    meter.update(
        [
            frame((half, scores), (right, scores[:, :1]), (half, scores)),
            frame((right, scores[:, :1]), points=None),
            frame((half, scores), points=None, is_given=True),
        ],
        batch(truth),
    )
    assert meter.compute_synced() == {
        "iou_1_clicks": pytest.approx(0.75),  # 0.5, and 1 for the absent object that nothing was said of
        "iou_2_clicks": 1.0,
        "iou_tracked": 1.0,
    }
    assert meter.is_better(0.6, 0.5)
    meter.reset()
    meter.update([frame((half, scores))], batch(truth[:1], torch.tensor([[True, False]])))
    assert meter.compute_synced() == {"iou_1_clicks": pytest.approx(0.5)}


def test_means_are_weighted_and_leave_out_what_is_not_a_number() -> None:
    averages = Averages()
    averages.add("a", 1.0, 3)
    averages.add("a", 5.0)
    averages.add("a", float("nan"), 10)
    assert averages.means() == {"a": 2.0}
