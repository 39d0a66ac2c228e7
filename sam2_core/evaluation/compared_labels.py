"""Predicted and true labels side by side, with what is known of divisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from sam2_core.evaluation.overlap import Frames


@dataclass(frozen=True)
class ComparedLabels:
    """What a metric is given where lineages are known; to those that need none it is an iterable of frames.

    Attributes
    ----------
    frames : iterable of (ndarray, ndarray)
        Predicted and true labels (y, x) of each frame; gone over once.
    predicted_parents, true_parents : mapping of int to int
        Which object each divided from.
    """

    frames: Frames
    predicted_parents: Mapping[int, int] = field(default_factory=dict)
    true_parents: Mapping[int, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        return iter(self.frames)
