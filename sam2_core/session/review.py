"""The review queue: which masks a person should look at first."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from sam2_core.errors import InvalidInputError
from sam2_core.session.items import MaskRecord, MaskReference

if TYPE_CHECKING:
    from sam2_core.session.annotation_session import AnnotationSession
    from sam2_core.session.job import Job
    from sam2_core.session.mask_pixels import MaskPixels


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
        every = (item for item in self._items() if item.suspicion >= self.smallest)
        if count is None:
            return sorted(every, key=_order)
        return heapq.nsmallest(count, every, key=_order)

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

    def _items(self) -> Iterator[ReviewItem]:
        usual = {one.id: self._usual_area(one.id) for one in self.session.objects}
        # frame by frame, with the two beside it, so that memory does not grow with their number
        before: dict[int, MaskRecord] = {}
        here, after = self.session.records_on(0), {}
        # of z-stacks over time the last slice of one is no neighbour of the first one of the next
        length = self.session.frame_count if self.session.grid is None else self.session.grid.sizes[1]
        for frame in range(self.session.frame_count):
            after = self.session.records_on(frame + 1) if frame + 1 < self.session.frame_count else {}
            is_first, is_last = frame % length == 0, (frame + 1) % length == 0
            disagreements = self.session.disagreements_on(frame)
            read = cache(self.session.pixels)  # a mask is compared with each of its neighbours
            for object_id, record in here.items():
                if record.is_trusted:
                    continue
                beside = (None if is_first else before.get(object_id), None if is_last else after.get(object_id))
                reasons = {**_score_reasons(record, *beside), **_shape_reasons(record, *beside, usual[object_id])}
                overlap = self._overlap(object_id, record, here, read)
                if overlap > 0.02:
                    reasons["overlap"] = overlap
                if disagreements.get(object_id, 0.0) > 0.1:
                    reasons["propagators disagree"] = disagreements[object_id]
                if reasons:
                    yield ReviewItem(object_id, frame, sum(reasons.values()), reasons)
            before, here = here, after

    def _usual_area(self, object_id: int) -> float:
        return float(
            np.median([record.area for record in self.session.records(object_id).values() if record.area] or [1])
        )

    def _overlap(
        self,
        object_id: int,
        record: MaskRecord,
        on_frame: Mapping[int, MaskRecord],
        read: Callable[[MaskReference], MaskPixels],
    ) -> float:
        """Share of a mask that other objects cover too."""
        if not record.area:
            return 0.0
        x0, y0, x1, y1 = record.mask.box
        others = [
            other
            for other_id, other in on_frame.items()
            if other_id != object_id and other.area
            # most objects are nowhere near each other, and boxes tell without reading pixels
            if other.mask.box[0] < x1 and x0 < other.mask.box[2] and other.mask.box[1] < y1 and y0 < other.mask.box[3]
        ]
        if not others:
            return 0.0
        theirs = np.zeros((y1 - y0, x1 - x0), bool)
        for other in others:
            theirs |= read(other.mask).within(record.mask.box)
        return float(np.count_nonzero(read(record.mask).inside & theirs) / record.area)


def _order(item: ReviewItem) -> tuple[float, int, int]:
    return (-item.suspicion, item.object_id, item.frame)


def _score_reasons(record: MaskRecord, *neighbours: MaskRecord | None) -> dict[str, float]:
    scores = [_sureness(one) for one in neighbours if one is not None]
    known = [score for score in scores if score is not None]
    own = _sureness(record)
    if own is None or not known:
        return {}
    drop = max(known) - own
    return {"score drops": drop} if drop > 0.05 else {}


def _shape_reasons(
    record: MaskRecord, before: MaskRecord | None, after: MaskRecord | None, usual_area: float
) -> dict[str, float]:
    reasons = {}
    neighbours = [one for one in (before, after) if one is not None and one.area]
    if not record.area:
        # empty at the end of an object's life is as it should be, in the middle of it is not
        return {"vanishes": 1.0} if len(neighbours) == 2 else {}
    if neighbours:
        jump = min(abs(math.log(record.area / one.area)) for one in neighbours)
        if jump > math.log(1.3):
            reasons["area jumps"] = min(1.0, jump / math.log(4))
        # in radii of the object, so that large ones may move farther
        move = min(math.dist(_centre(record), _centre(one)) for one in neighbours) / math.sqrt(usual_area / math.pi)
        if move > 0.75:
            reasons["place jumps"] = min(1.0, move / 3)
    return reasons


def _sureness(record: MaskRecord) -> float | None:
    """Predicted IoU times the probability of being there."""
    if record.predicted_iou is None:
        return None
    presence = 1.0 if record.object_score is None else 1 / (1 + math.exp(-max(-60.0, record.object_score)))
    return record.predicted_iou * presence


def _centre(record: MaskRecord) -> tuple[float, float]:
    x0, y0, x1, y1 = record.mask.box
    return (x0 + x1) / 2, (y0 + y1) / 2
