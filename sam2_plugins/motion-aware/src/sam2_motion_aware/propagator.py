"""Masks and memories chosen by how an object moves (SAMURAI, Yang et al. 2024, arXiv:2411.11922)."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import Annotated

from sam2_core.hooks import Candidate, FrameDone, MemoryChoice, Tracking, TrackingDirection, TrackingStep
from sam2_motion_aware.boxes import BoxFilter, box_iou, box_of


@dataclass(frozen=True)
class Rules:
    """What a mask has to be to be kept, followed and remembered; see :func:`motion_aware`."""

    motion_weight: float
    min_iou: float
    min_object_score: float
    min_motion: float
    reach: int
    steady_frames: int
    patience: int


@dataclass
class Motion:
    """How one object moved so far, in one direction.

    Attributes
    ----------
    rules : Rules
    remembered : list of int
        Frames with masks worth remembering, the latest last.
    """

    rules: Rules
    remembered: list[int] = field(default_factory=list)
    _filter: BoxFilter | None = None
    _good: int = 0
    _lost: int = 0

    @property
    def is_trusted(self) -> bool:
        """Whether the object moved steadily enough for its next place to be predicted."""
        return self._filter is not None and self._good >= self.rules.steady_frames

    def best(self, candidates: Sequence[Candidate]) -> Candidate:
        """Choose a mask, by its predicted IoU and, where the motion is trusted, by the place of its box."""
        weight = self.rules.motion_weight if self.is_trusted else 0.0
        return max(candidates, key=lambda one: weight * self._agreement(one) + (1 - weight) * one.predicted_iou)

    def predict(self) -> None:
        """Go on by one frame."""
        if self._filter is not None:
            self._filter.predict()

    def follow(self, found: Candidate, *, is_certain: bool = False) -> None:
        """Take into account which mask was kept.

        Parameters
        ----------
        found : Candidate
        is_certain : bool
            A person said so; such frames are remembered anyway.
        """
        rules = self.rules
        box = box_of(found.mask)
        is_seen = box is not None and (is_certain or found.object_score > rules.min_object_score)
        is_expected = is_certain or not self.is_trusted or self._agreement(found) > rules.min_motion
        if box is None or not is_seen or not is_expected:
            self._lost += 1
            if self._lost > rules.patience:
                # it is somewhere else, or gone: nothing is expected any more
                self._filter, self._good = None, 0
            return
        self._lost = 0
        if self._filter is None:
            self._filter = BoxFilter(box)
        else:
            self._filter.correct(box)
        is_good = is_certain or found.predicted_iou > rules.min_iou
        self._good = self._good + 1 if is_good else 0
        if is_good and not is_certain:
            self.remembered.append(found.frame)

    def memory(self, tracking: Tracking, step: TrackingStep, object_id: Hashable) -> MemoryChoice:
        """Choose what is remembered on a frame."""
        self.remembered = [one for one in self.remembered if abs(step.frame - one) <= self.rules.reach]
        return MemoryChoice.of(tracking, step, object_id, self.remembered[::-1])

    def _agreement(self, candidate: Candidate) -> float:
        """IoU of a candidate's box with the predicted one."""
        box = box_of(candidate.mask)
        return 0.0 if box is None or self._filter is None else box_iou(box, self._filter.box)


def motion_aware(
    tracking: Tracking,
    *,
    direction: TrackingDirection = "both",
    motion_weight: Annotated[float, {"min": 0.0, "max": 1.0}] = 0.15,
    min_iou: Annotated[float, {"min": 0.0, "max": 1.0}] = 0.5,
    min_object_score: float = 0.0,
    min_motion: Annotated[float, {"min": 0.0, "max": 1.0}] = 0.5,
    reach: Annotated[int, {"min": 1}] = 60,
    steady_frames: Annotated[int, {"min": 1}] = 3,
    patience: Annotated[int, {"min": 0}] = 8,
) -> Iterator[FrameDone]:
    """Carry objects on by masks, and memories, that agree with how they move.

    Parameters
    ----------
    tracking : Tracking
    direction : {"forward", "backward", "both"}
        Which way from the start.
    motion_weight : float
        Share of the motion in the choice of a mask.
    min_iou : float
        Predicted IoU above which a mask is remembered.
    min_object_score : float
        Logit above which the object counts as seen.
    min_motion : float
        IoU with the predicted box above which a mask is remembered.
    reach : int
        How many frames back the memory looks.
    steady_frames : int
        After how many good masks in a row the motion is trusted.
    patience : int
        For how many frames an object is expected to go on as it did while it is not found.

    Yields
    ------
    FrameDone
        Each frame, with all objects.
    """
    rules = Rules(motion_weight, min_iou, min_object_score, min_motion, reach, steady_frames, patience)
    for way, stretches in groupby(tracking.stretches(direction), key=lambda stretch: stretch[0].step):
        motions: dict[Hashable, Motion] = {}
        for step in chain.from_iterable(tracking.walk(*stretch) for stretch in stretches):
            for object_id in (*step.objects, *step.fixed):
                if object_id not in motions:
                    motions[object_id] = _motion_so_far(tracking, object_id, step.frame, way, rules)
                motions[object_id].predict()
            for object_id in step.fixed:
                _follow_recorded(tracking, motions[object_id], object_id, step.frame, is_certain=True)
            if step.is_done:
                # from an earlier run that is resumed: what it kept is on record
                for object_id in step.objects:
                    _follow_recorded(tracking, motions[object_id], object_id, step.frame)
                yield FrameDone(step.frame)
                continue
            choices = [motions[object_id].memory(tracking, step, object_id) for object_id in step.objects]
            for object_id, candidates in zip(step.objects, tracking.candidates(step, choices), strict=True):
                chosen = motions[object_id].best(candidates)
                tracking.keep(chosen)
                motions[object_id].follow(chosen)
            yield FrameDone(step.frame)


def _motion_so_far(tracking: Tracking, object_id: Hashable, frame: int, step: int, rules: Rules) -> Motion:
    """How an object moved before a frame, by what is on record of the frames directly before."""
    earlier = []
    while len(earlier) < rules.reach and tracking.recorded(object_id, frame - step * (len(earlier) + 1)):
        earlier.append(frame - step * (len(earlier) + 1))
    fixed = set(tracking.fixed_frames(object_id))
    motion = Motion(rules)
    for other in reversed(earlier):
        motion.predict()
        _follow_recorded(tracking, motion, object_id, other, is_certain=other in fixed)
    return motion


def _follow_recorded(
    tracking: Tracking, motion: Motion, object_id: Hashable, frame: int, *, is_certain: bool = False
) -> None:
    found = tracking.recorded(object_id, frame)
    if found is not None:
        motion.follow(found, is_certain=is_certain)
