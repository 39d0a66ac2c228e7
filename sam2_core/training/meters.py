"""Meters of validation: fed batch by batch, read at the end of a phase by all processes together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist

from sam2_core.training.batch import BatchedVideoDatapoint
from sam2_core.training.sam2_train import TrackedFrame


class Averages:
    """Weighted means by name."""

    def __init__(self) -> None:
        self._sums: dict[str, list[float]] = {}

    def add(self, name: str, value: float, weight: float = 1.0) -> None:
        """Count a value; NaN counts for nothing."""
        if value == value:
            kept = self._sums.setdefault(name, [0.0, 0.0])
            kept[0] += value * weight
            kept[1] += weight

    def means(self) -> dict[str, float]:
        """Return the means over all processes; they may have counted different names."""
        sums = self._sums
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            gathered: list[Any] = [None] * dist.get_world_size()
            dist.all_gather_object(gathered, self._sums)
            sums = {}
            for each in gathered:
                for name, (total, weight) in each.items():
                    kept = sums.setdefault(name, [0.0, 0.0])
                    kept[0] += total
                    kept[1] += weight
        return {name: total / weight for name, (total, weight) in sums.items() if weight}


class ClickIoU:
    """IoU of the masks after 1, 2, … clicks, and of frames that were tracked.

    The candidate with the highest predicted IoU counts. A click is a round of prompts: the first prompt, then each
    correction. Objects that are absent in truth count where the prediction is empty too (1) or not (0).

    Parameters
    ----------
    clicks : int
        Largest number to report.
    """

    def __init__(self, clicks: int = 8) -> None:
        self.clicks = clicks
        self._averages = Averages()

    def update(self, outputs: Sequence[TrackedFrame], batch: BatchedVideoDatapoint) -> None:
        """Count a batch."""
        for index, frame in enumerate(outputs):
            if frame.is_given:
                continue
            truth = batch.masks[index]
            known = torch.ones_like(truth[:, 0, 0]) if batch.labelled is None else batch.labelled[index]
            for number, step in enumerate(frame[: self.clicks]):
                best = step.predicted_ious.argmax(dim=1)[:, None, None, None]
                predicted = step.masks.take_along_dim(best, dim=1)[:, 0] > 0
                both = (predicted & truth).flatten(1).sum(dim=1).float()
                either = (predicted | truth).flatten(1).sum(dim=1).float()
                ious = torch.where(either > 0, both / either.clamp(min=1), 1.0)[known]
                name = f"iou_{number + 1}_clicks" if frame.points[0] is not None else "iou_tracked"
                if len(ious):
                    self._averages.add(name, float(ious.mean()), len(ious))

    def compute_synced(self) -> dict[str, float]:
        """Return the means over all processes."""
        return self._averages.means()

    def is_better(self, new: float, old: float) -> bool:
        """Higher is better."""
        return new > old

    def reset(self) -> None:
        """Forget everything."""
        self._averages = Averages()
