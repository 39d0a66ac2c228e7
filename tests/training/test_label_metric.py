"""What a metric of a plugin is shown in a validation, and how its numbers are kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sam2_core.errors import PluginError
from sam2_core.hooks import Metric, Plugins, Selection, hookimpl, using_plugins
from sam2_core.model import FrameOutput
from sam2_core.training.batch import BatchedVideoDatapoint, BatchedVideoMetaData
from sam2_core.training.label_metric import LabelMetric
from sam2_core.training.sam2_train import TrackedFrame


class Recorder:
    """A plugin whose metric keeps what it is shown and counts frames."""

    def __init__(self) -> None:
        self.seen: list[list[tuple[Any, Any]]] = []
        self.answer: Any = None

    @hookimpl
    def sam2_metrics(self) -> list[Metric]:
        def look(frames: Iterable[tuple[Any, Any]], *, scale: float = 1.0) -> Mapping[str, float]:
            self.seen.append(list(frames))
            return {"frames": scale * len(self.seen[-1])} if self.answer is None else self.answer

        return [Metric("look", "looks", measure=look, better="lower")]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    plugins, recorder = Plugins(Selection(), strict=True), Recorder()
    plugins.register(recorder, name="recorder")
    with using_plugins(plugins):
        yield recorder


def frame(logits: Tensor, is_given: bool = False) -> TrackedFrame:
    count = len(logits)
    nothing = torch.zeros(count, 1, 2, 2)
    output = FrameOutput(
        nothing, nothing, nothing[:, :, 0, 0], nothing, logits[:, None], nothing[:, 0, 0], torch.ones(count, 1)
    )
    return TrackedFrame((), (), output, is_given)


def test_videos_are_measured_one_by_one_as_labels(recorder: Recorder) -> None:
    """Two objects of one video and one of another; the higher logit is seen; what is not known is not asked."""
    logits = torch.tensor([[[1.0, 3.0], [-1.0, -1.0]], [[2.0, 2.0], [-1.0, 2.0]], [[5.0, 5.0], [5.0, -5.0]]])
    truth = torch.tensor([[[1, 0], [0, 0]], [[0, 1], [0, 1]], [[1, 1], [0, 0]]], dtype=torch.bool)
    places = torch.tensor([[[t, 0], [t, 0], [t, 1]] for t in range(3)])
    labelled = torch.tensor([[True, True, True], [False, True, False], [True, True, True]])
    batch = BatchedVideoDatapoint(
        torch.zeros(3, 2, 3, 2, 2),
        places,
        truth.repeat(3, 1, 1, 1),
        BatchedVideoMetaData(torch.zeros(0), torch.zeros(0)),
        "all",
        labelled,
    )
    meter = LabelMetric({"name": "look", "options": {"scale": 10.0}}, "here")
    meter.update([frame(logits), frame(logits), frame(logits, is_given=True)], batch)

    first, second = recorder.seen
    said, true = zip(*first, strict=True)
    assert np.array_equal(said[0], [[2, 1], [0, 2]])
    assert np.array_equal(true[0], [[1, 2], [0, 2]])
    assert np.array_equal(said[1], [[2, 2], [0, 2]])  # without the object that nobody labelled, which keeps its number
    assert np.array_equal(true[1], [[0, 2], [0, 2]])
    assert len(first) == 2  # the mask of the last frame was given
    assert [(one.tolist(), other.tolist()) for one, other in second] == [([[1, 1], [1, 0]], [[1, 1], [0, 0]])]
    assert meter.compute_synced() == {"frames": 15.0}
    assert meter.ranked_by == "frames"
    assert meter.is_better(1.0, 2.0)
    meter.reset()
    assert meter.compute_synced() == {}
    recorder.answer = {}
    with pytest.raises(PluginError, match=r"metric 'look' failed. plugin recorder .*numbers by name"):
        meter.update([frame(logits)], batch)
