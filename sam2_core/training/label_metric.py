"""Metrics of labels that are chosen by name among those plugins add, as meters of a validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sam2_core.hooks import Metric
from sam2_core.hooks.metric import require_measures
from sam2_core.training.batch import BatchedVideoDatapoint
from sam2_core.training.choices import choose
from sam2_core.training.meters import Averages
from sam2_core.training.sam2_train import TrackedFrame


class LabelMetric:
    """A named metric, measured video by video and averaged over them.

    A video's labels are the objects that were asked for, numbered from 1 in the batch's order; of objects that overlap
    the one with the higher logit is seen, of true ones the first. Frames whose mask was the prompt are left out, and
    objects on frames where nobody has labelled them.

    Parameters
    ----------
    given : str or mapping
        See :func:`~sam2_core.training.choices.choose`.
    where : str
        Its place in the configuration.

    Raises
    ------
    ConfigError, PluginError, InvalidInputError, InvalidTypeError
        See :func:`~sam2_core.training.choices.choose`.
    """

    def __init__(self, given: str | Mapping[str, Any], where: str) -> None:
        self.choice = choose(Metric, given, where, lambda metric: metric.measure)
        self.ranked_by: str | None = None
        self._averages = Averages()

    def update(self, outputs: Sequence[TrackedFrame], batch: BatchedVideoDatapoint) -> None:
        """Measure the videos of a batch.

        Raises
        ------
        PluginError
            The metric failed, or returned something else than numbers by name.
        """
        for video in range(batch.num_videos):
            found = self.choice.call(_labels(outputs, batch, video), check=require_measures)
            self.ranked_by = next(iter(found))
            for name, value in found.items():
                self._averages.add(name, float(value))

    def compute_synced(self) -> dict[str, float]:
        """Return the means over all videos of all processes."""
        return self._averages.means()

    def is_better(self, new: float, old: float) -> bool:
        """Whether the number it ranks by got better."""
        return new > old if self.choice.contribution.better == "higher" else new < old

    def reset(self) -> None:
        """Forget everything."""
        self._averages = Averages()


def _labels(
    outputs: Sequence[TrackedFrame], batch: BatchedVideoDatapoint, video: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield predicted and true labels (y, x) of a video's frames."""
    for index, frame in enumerate(outputs):
        mine = batch.obj_to_frame_idx[index, :, 1] == video
        if batch.labelled is not None:
            mine = mine & batch.labelled[index]
        if frame.is_given or not bool(mine.any()):
            continue
        numbers = torch.nonzero(batch.obj_to_frame_idx[index, :, 1] == video).flatten()
        # an object keeps its number where others are not labelled
        places = torch.searchsorted(numbers, torch.nonzero(mine).flatten()) + 1
        logits = frame.output.high_res_masks[mine, 0].float()
        yield _numbered(logits, places), _numbered(batch.masks[index][mine].float(), places)


def _numbered(scores: Tensor, numbers: Tensor) -> NDArray[np.int64]:
    """Labels (y, x) from scores (O, y, x): the highest one above 0."""
    best, which = scores.max(dim=0)
    found: NDArray[np.int64] = torch.where(best > 0, numbers[which], 0).cpu().numpy()
    return found
