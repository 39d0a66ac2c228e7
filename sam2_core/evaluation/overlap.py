"""How much labels and their truth share, added up frame after frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.evaluation.frame_threads import Frames, frame_by_frame


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
        for own, other, count in zip(*_shared_pixels(ours, real), strict=True):
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
    for one in overlaps_of(frames):
        overlap.predicted.update(one.predicted)
        overlap.truth.update(one.truth)
        overlap.both.update(one.both)
    return overlap


def overlaps_of(frames: Frames) -> Iterator[Overlap]:
    """Count each frame by itself, several at a time; a few frames are held at most.

    Parameters
    ----------
    frames : iterable of (ndarray, ndarray)
        Predicted and true labels (y, x); read in order, by the caller's thread.

    Returns
    -------
    iterator of Overlap
        Of each frame, in order.
    """
    # sorting, which takes the time, runs beside other threads
    return frame_by_frame(_overlap, frames)


def _overlap(ours: NDArray[Any], real: NDArray[Any]) -> Overlap:
    overlap = Overlap()
    overlap.add(ours, real)
    return overlap


def _shared_pixels(ours: NDArray[Any], real: NDArray[Any]) -> tuple[list[int], list[int], list[int]]:
    """Pairs of labels that lie on each other, and on how many pixels."""
    if ours.size and max(int(ours.max()), int(real.max())) < 1 << 32:
        # numbers are sorted much faster than pairs
        keys, counts = np.unique((ours.astype(np.uint64) << np.uint64(32)) | real.astype(np.uint64), return_counts=True)
        low = np.uint64((1 << 32) - 1)
        return (keys >> np.uint64(32)).tolist(), (keys & low).tolist(), counts.tolist()
    pairs, counts = np.unique(np.stack([ours.ravel(), real.ravel()]), axis=1, return_counts=True)
    return pairs[0].tolist(), pairs[1].tolist(), counts.tolist()
