"""The review queue: which masks a person should look at first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError

if TYPE_CHECKING:
    from sam2_core.session.annotation_session import AnnotationSession
    from sam2_core.session.job import Job


@dataclass(frozen=True)
class ReviewItem:
    """One mask that looks wrong.

    Attributes
    ----------
    object_id, frame : int
    suspicion : float
        Sum of the reasons' weights; above 0.
    reasons : dict of str to float
        Why, each 0 to about 1: ``"score drops"`` (predicted IoU or presence below that of the frames before),
        ``"area jumps"``, ``"place jumps"``, ``"overlap"`` (share of the mask that another object covers too),
        ``"vanishes"`` (empty between frames on which the object is), ``"propagators disagree"`` (1 - IoU with what
        another one has found, see :meth:`AnnotationSession.start_compare`).
    """

    object_id: int
    frame: int
    suspicion: float
    reasons: dict[str, float]


class ReviewQueue:
    """Ranks an object's masks by how wrong they look, for a person to go through from the worst on.

    Parameters
    ----------
    session : AnnotationSession
    smallest : float
        Suspicion below which a mask is not worth a look.
    """

    def __init__(self, session: AnnotationSession, *, smallest: float = 0.25) -> None:
        if not smallest >= 0:
            raise InvalidInputError(f"smallest must be 0 or above; got {smallest}.")
        self.session = session
        self.smallest = smallest

    def ranked(self, count: int | None = None) -> list[ReviewItem]:
        """List the most suspicious masks, the worst first.

        Locked masks, painted ones and answers to prompts are left out: a person has seen them.

        Parameters
        ----------
        count : int, optional
            At most so many; all by default.
        """
        rows, reasons, suspicions = self._suspicions()
        worst = np.flatnonzero((suspicions >= self.smallest) & (suspicions > 0))
        # rows are by object and frame, which decides between equal ones
        worst = worst[np.argsort(-suspicions[worst], kind="stable")][:count]
        return [
            ReviewItem(
                int(rows["object"][place]),
                int(rows["frame"][place]),
                float(suspicions[place]),
                {name: float(weights[place]) for name, weights in reasons.items() if weights[place]},
            )
            for place in worst
        ]

    def next(self) -> ReviewItem | None:
        """The most suspicious mask; None if none is worth a look."""
        return next(iter(self.ranked(1)), None)

    def accept(self, item: ReviewItem) -> None:
        """Lock a mask as it is: it is good, and is never overwritten; the others learn from it when they are tracked.

        Raises
        ------
        StateError
            The mask is gone meanwhile.
        """
        self.session.lock(item.object_id, item.frame)

    def correct(
        self, item: ReviewItem, points: Any, labels: Sequence[int] | None = None, *, count: int | None = None
    ) -> Job:
        """Click on a mask that is wrong, and carry the object on from there, both ways.

        Parameters
        ----------
        item : ReviewItem
        points, labels
            As for :meth:`AnnotationSession.add_points`.
        count : int, optional
            How many frames on each side; all by default.

        Returns
        -------
        Job
            The propagation; the click is answered before it begins.

        Raises
        ------
        StateError, InvalidInputError, InvalidTypeError
            As for :meth:`AnnotationSession.add_points` and :meth:`AnnotationSession.start_propagate`.
        """
        self.session.add_points(item.object_id, item.frame, points, labels)
        self.session.start_segment(item.object_id, item.frame)
        return self.session.start_propagate([item.object_id], start=item.frame, count=count)

    def _suspicions(self) -> tuple[NDArray[Any], dict[str, NDArray[np.float64]], NDArray[np.float64]]:
        """All masks, how far each reason holds for each of them, and the sum of that."""
        rows = self.session.mask_facts.rows()
        # of z-stacks over time the last slice of one is no neighbour of the first one of the next
        length = self.session.frame_count if self.session.grid is None else self.session.grid.sizes[1]
        before, after = _neighbours(rows, length)
        reasons = {**_score_reasons(rows, before, after), **_shape_reasons(rows, before, after)}
        reasons["overlap"] = np.where(rows["overlap"] > 0.02, rows["overlap"], 0.0)
        reasons["propagators disagree"] = np.where(rows["disagreement"] > 0.1, rows["disagreement"], 0.0)
        for weights in reasons.values():
            weights[rows["is_trusted"]] = 0.0
        return rows, reasons, np.sum(list(reasons.values()), axis=0)


def _neighbours(rows: NDArray[Any], length: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows of the same object one frame before and after, of frames in rows of that length; -1: there is none."""
    places = np.arange(len(rows))
    follows = np.zeros(len(rows) + 1, bool)
    follows[1:-1] = (np.diff(rows["object"]) == 0) & (np.diff(rows["frame"]) == 1) & (rows["frame"][1:] % length != 0)
    return np.where(follows[:-1], places - 1, -1), np.where(follows[1:], places + 1, -1)


def _score_reasons(
    rows: NDArray[Any], before: NDArray[np.intp], after: NDArray[np.intp]
) -> dict[str, NDArray[np.float64]]:
    known = [np.where(beside >= 0, rows["sureness"][beside], np.nan) for beside in (before, after)]
    drop = np.fmax(*known) - rows["sureness"]
    return {"score drops": np.where(drop > 0.05, drop, 0.0)}


def _shape_reasons(
    rows: NDArray[Any], before: NDArray[np.intp], after: NDArray[np.intp]
) -> dict[str, NDArray[np.float64]]:
    area = np.where(rows["area"] > 0, rows["area"], np.nan)
    centre = (rows["box"][:, :2] + rows["box"][:, 2:]) / 2
    radius = np.sqrt(_usual_areas(rows) / math.pi)
    jumps, moves = [], []
    for beside in (before, after):
        there = np.where(beside >= 0, area[beside], np.nan)
        jumps.append(np.abs(np.log(area / there)))
        # in radii of the object, so that large ones may move farther
        moves.append(np.where(np.isnan(there), np.nan, np.hypot(*(centre - centre[beside]).T) / radius))
    jump, move = np.fmin(*jumps), np.where(np.isnan(area), np.nan, np.fmin(*moves))
    beside_filled = [(beside >= 0) & ~np.isnan(area[beside]) for beside in (before, after)]
    return {
        "area jumps": np.where(jump > math.log(1.3), np.minimum(1.0, jump / math.log(4)), 0.0),
        "place jumps": np.where(move > 0.75, np.minimum(1.0, move / 3), 0.0),
        # empty at the end of an object's life is as it should be, in the middle of it is not
        "vanishes": np.where(np.isnan(area) & beside_filled[0] & beside_filled[1], 1.0, 0.0),
    }


def _usual_areas(rows: NDArray[Any]) -> NDArray[np.float64]:
    """For each mask the median area of its object's masks that are not empty."""
    usual = np.ones(len(rows))
    borders = [0, *(np.flatnonzero(np.diff(rows["object"])) + 1).tolist(), len(rows)]
    for first, last in pairwise(borders):
        filled = rows["area"][first:last][rows["area"][first:last] > 0]
        if len(filled):
            usual[first:last] = np.median(filled)
    return usual
