"""How much labels and their truth share, added up frame after frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

#: Predicted and true labels (y, x) of each frame; 0 is background.
Frames: TypeAlias = Iterable[tuple[NDArray[Any], NDArray[Any]]]


@dataclass
class Overlap:
    """Pixels of objects.

    Attributes
    ----------
    predicted, truth : Counter of int
        Of each predicted object and each true one.
    both : Counter of (int, int)
        Of each pair (predicted, true) that shares some.
    """

    predicted: Counter[int] = field(default_factory=Counter)
    truth: Counter[int] = field(default_factory=Counter)
    both: Counter[tuple[int, int]] = field(default_factory=Counter)

    def add(self, ours: NDArray[Any], real: NDArray[Any]) -> None:
        """Count a frame."""
        pairs, counts = np.unique(np.stack([ours.ravel(), real.ravel()]), axis=1, return_counts=True)
        for own, other, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
            if own:
                self.predicted[own] += count
            if other:
                self.truth[other] += count
            if own and other:
                self.both[own, other] += count

    def iou(self, own: int, other: int) -> float:
        """Of a predicted object and a true one."""
        shared = self.both[own, other]
        return shared / (self.predicted[own] + self.truth[other] - shared)


def overlap_of(frames: Frames) -> Overlap:
    """Count all frames; a number means the same object throughout."""
    overlap = Overlap()
    for ours, real in frames:
        overlap.add(ours, real)
    return overlap
