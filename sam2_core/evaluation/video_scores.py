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


class VideoScores:
    """The scores of a video's objects.

    An object counts from the first frame on which it is in the truth or was predicted; only objects of the truth have
    a score.
    """

    def __init__(self) -> None:
        self._true: set[int] = set()
        self._known: set[int] = set()
        self._j: defaultdict[int, list[float]] = defaultdict(list)
        self._f: defaultdict[int, list[float]] = defaultdict(list)

    def add(self, predicted: NDArray[Any], truth: NDArray[Any]) -> None:
        """Count a frame.

        Parameters
        ----------
        predicted, truth : ndarray (y, x)
            Labels, 0 for background; or bool.

        Raises
        ------
        InvalidInputError
            They differ in shape.
        """
        if predicted.shape != truth.shape:
            raise InvalidInputError(f"A prediction has shape {predicted.shape}, its truth {truth.shape} (y, x).")
        true = {int(number) for number in np.unique(truth) if number}
        self._true |= true
        self._known |= true | {int(number) for number in np.unique(predicted) if number}
        for number in self._known:
            ours, real = predicted == number, truth == number
            self._j[number].append(region_similarity(ours, real))
            self._f[number].append(contour_accuracy(ours, real))

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


def j_and_f(frames: Iterable[tuple[NDArray[Any], NDArray[Any]]]) -> Mapping[str, float]:
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
    for predicted, truth in frames:
        video.add(predicted, truth)
    score = mean_score(video.scores().values())
    return {"J&F": score.both, "J": score.j, "F": score.f}
