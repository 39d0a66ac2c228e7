"""Predicted and true labels side by side, with what is known of divisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from sam2_core.evaluation.frame_threads import Frames


@dataclass
class ComparedLabels(Iterator[tuple[NDArray[Any], NDArray[Any]]]):
    """What a metric is given where lineages are known; to those that need none it is an iterator over frames.

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

    def __post_init__(self) -> None:
        self._left = iter(self.frames)

    def __next__(self) -> tuple[NDArray[Any], NDArray[Any]]:
        return next(self._left)
