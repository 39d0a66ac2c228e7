"""J and F of the objects of a video, frame after frame."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.evaluation.frame_threads import Frames, frame_by_frame
from sam2_core.evaluation.mask_scores import contour_accuracy, region_similarity


@dataclass(frozen=True)
class Score:
    """J and F in percent.

    Attributes
    ----------
    j, f : float
    """

    j: float
    f: float

    @property
    def both(self) -> float:
        """J&F, their mean."""
        return (self.j + self.f) / 2


@dataclass(frozen=True)
class FrameScores:
    """J and F of what is on one frame.

    Attributes
    ----------
    objects : dict of int to (float, float)
        J and F, from 0 to 1, of each object that was predicted or is in the truth.
    true : frozenset of int
        Those in the truth.
    """

    objects: Mapping[int, tuple[float, float]]
    true: frozenset[int]

    @classmethod
    def of(cls, predicted: NDArray[Any], truth: NDArray[Any]) -> FrameScores:
        """Compare labels (y, x), 0 for background; or bool.

        Raises
        ------
        InvalidInputError
            They differ in shape.
        """
        if predicted.shape != truth.shape:
            raise InvalidInputError(f"A prediction has shape {predicted.shape}, its truth {truth.shape} (y, x).")
        true = frozenset(int(number) for number in np.unique(truth) if number)
        objects = {}
        for number in true | {int(number) for number in np.unique(predicted) if number}:
            ours, real = predicted == number, truth == number
            objects[number] = region_similarity(ours, real), contour_accuracy(ours, real)
        return cls(objects, true)


class VideoScores:
    """The scores of a video's objects.

    An object counts from the first frame on which it is in the truth or was predicted; only objects of the truth have
    a score.
    """

    def __init__(self) -> None:
        self._true: set[int] = set()
        self._j: defaultdict[int, list[float]] = defaultdict(list)
        self._f: defaultdict[int, list[float]] = defaultdict(list)

    def add(self, frame: FrameScores) -> None:
        """Count the next frame."""
        self._true |= frame.true
        for number in self._j.keys() | frame.objects.keys():
            # an object that is neither there nor predicted is as it should be
            j, f = frame.objects.get(number, (1.0, 1.0))
            self._j[number].append(j)
            self._f[number].append(f)

    def scores(self) -> dict[int, Score]:
        """The mean over frames of each object of the truth, by its number."""
        return {
            number: Score(float(np.mean(self._j[number])) * 100, float(np.mean(self._f[number])) * 100)
            for number in sorted(self._true)
        }


def mean_score(scores: Iterable[Score]) -> Score:
    """The mean over objects; NaN without any."""
    listed = list(scores)
    if not listed:
        return Score(math.nan, math.nan)
    return Score(float(np.mean([one.j for one in listed])), float(np.mean([one.f for one in listed])))


def j_and_f(frames: Frames) -> Mapping[str, float]:
    """J&F, J and F in percent, means over the objects of the truth, each through the whole stack.

    Parameters
    ----------
    frames : iterable of (ndarray, ndarray)
        Predicted and true labels (y, x); a number means the same object in both.

    Returns
    -------
    dict of str to float
        "J&F", "J", "F"; NaN where the truth is empty.
    """
    video = VideoScores()
    for frame in frame_by_frame(FrameScores.of, frames):
        video.add(frame)
    score = mean_score(video.scores().values())
    return {"J&F": score.both, "J": score.j, "F": score.f}
