"""The hypotheses of one object: pathways of masks that share a past, and compete (SAM2Long, arXiv:2410.16268)."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from sam2_core.hooks import Candidate, MemoryChoice, Tracking, TrackingStep

#: Predicted IoUs below this count as this, so that one bad frame does not end a pathway for good.
LOWEST_IOU = 1e-3
#: Masks that share more than this are one and the same hypothesis.
ALIKE = 0.7


@dataclass(frozen=True)
class Rules:
    """How hypotheses compete; see :func:`~sam2_memory_tree.propagator.memory_tree`."""

    pathways: int
    horizon: int
    min_iou: float
    unsure: float
    reach: int

    def is_remembered(self, candidate: Candidate) -> bool:
        """Whether a mask is worth remembering."""
        return candidate.object_score > 0 and candidate.predicted_iou > self.min_iou


@dataclass(eq=False)
class Branch:
    """A mask on a frame, after the masks of a pathway.

    Attributes
    ----------
    candidate : Candidate
    parent : Branch, optional
        None where the past is settled.
    score : float
        Summed logarithms of the predicted IoUs.
    """

    candidate: Candidate
    parent: Branch | None
    score: float

    @classmethod
    def after(cls, parent: Branch | None, candidate: Candidate) -> Branch:
        """Go on from a branch with a mask."""
        score = math.log(max(candidate.predicted_iou, LOWEST_IOU))
        return cls(candidate, parent, score + (0.0 if parent is None else parent.score))

    def past(self) -> Iterator[Branch]:
        """Go back from this branch, itself included, as far as it is not settled."""
        branch: Branch | None = self
        while branch is not None:
            yield branch
            branch = branch.parent


@dataclass
class Tree:
    """The hypotheses of one object, in one direction.

    Attributes
    ----------
    object_id : hashable
    rules : Rules
    remembered : list of int
        Settled frames worth remembering, the latest last.
    """

    object_id: Hashable
    rules: Rules
    remembered: list[int] = field(default_factory=list)
    _leaves: list[Branch] = field(default_factory=list)
    _kept: dict[int, Candidate] = field(default_factory=dict)

    @property
    def starts(self) -> list[Branch | None]:
        """What the next frame goes on from: each pathway, or what is settled."""
        return list(self._leaves) or [None]

    def memory(self, tracking: Tracking, step: TrackingStep, start: Branch | None) -> MemoryChoice:
        """Choose what a pathway remembers on a frame: its own masks, then settled ones."""
        own = [] if start is None else [one.candidate for one in start.past()]
        latest: list[int | Candidate] = [one for one in own if self.rules.is_remembered(one)]
        self.remembered = [one for one in self.remembered if abs(step.frame - one) <= self.rules.reach]
        latest += reversed(self.remembered)
        return MemoryChoice.of(tracking, step, self.object_id, latest)

    def grow(self, starts: Sequence[Branch | None], found: Sequence[Sequence[Candidate]]) -> None:
        """Let the best candidates of a frame go on.

        Parameters
        ----------
        starts : sequence of Branch or None
            Of :attr:`starts`.
        found : sequence of sequence of Candidate
            What each of them led to.
        """
        branches = [
            Branch.after(start, candidate)
            for start, candidates in zip(starts, found, strict=True)
            for candidate in _distinct(candidates)
        ]
        branches.sort(key=lambda branch: branch.score, reverse=True)
        surest = max(abs(branch.candidate.object_score) for branch in branches)
        if surest < self.rules.unsure:
            branches = _diverse_first(branches)
        self._leaves = sorted(branches[: self.rules.pathways], key=lambda branch: branch.score, reverse=True)

    def show(self, tracking: Tracking) -> None:
        """Put the latest mask of the best pathway on record."""
        self._keep(tracking, self._leaves[0].candidate)

    def settle(self, tracking: Tracking, *, everything: bool = False) -> list[int]:
        """Decide what need not, or may not, stay open any longer.

        Parameters
        ----------
        tracking : Tracking
        everything : bool
            Up to the latest frame, by the best pathway.

        Returns
        -------
        list of int
            Frames whose masks are others now than was shown.
        """
        if not self._leaves:
            return []
        best = list(self._leaves[0].past())
        if everything:
            self._leaves = []
            return self._settle(tracking, best)
        if len(best) > self.rules.horizon:
            oldest = best[self.rules.horizon]
            self._leaves = [leaf for leaf in self._leaves if oldest in leaf.past()]
        shared = set.intersection(*({id(branch) for branch in leaf.past()} for leaf in self._leaves))
        # the latest one stays a branch, for its score and because the next frame remembers it
        latest = next((branch for branch in best[1:] if id(branch) in shared), None)
        if latest is None:
            return []
        settled = list(latest.past())
        for leaf in self._leaves:
            _cut(leaf, latest)
        return self._settle(tracking, settled)

    def _settle(self, tracking: Tracking, past: Sequence[Branch]) -> list[int]:
        changed = []
        for branch in reversed(past):
            candidate = branch.candidate
            if self._kept.get(candidate.frame) is not candidate:
                self._keep(tracking, candidate)
                changed.append(candidate.frame)
            self._kept.pop(candidate.frame, None)
            if self.rules.is_remembered(candidate):
                self.remembered.append(candidate.frame)
        return changed

    def _keep(self, tracking: Tracking, candidate: Candidate) -> None:
        tracking.keep(candidate)
        self._kept[candidate.frame] = candidate


def _distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Candidates of one pathway; where the object is not seen all are empty, and one stands for all."""
    if candidates[0].object_score > 0:
        return list(candidates)
    return [max(candidates, key=lambda candidate: candidate.predicted_iou)]


def _diverse_first(branches: Sequence[Branch]) -> list[Branch]:
    """Put branches first whose masks differ from those of all better ones."""
    first: list[Branch] = []
    later: list[Branch] = []
    for branch in branches:
        is_new = all(_overlap(branch.candidate, other.candidate) <= ALIKE for other in first)
        (first if is_new else later).append(branch)
    return first + later


def _overlap(one: Candidate, other: Candidate) -> float:
    """IoU of two masks; two empty ones are the same."""
    either = int(np.count_nonzero(one.mask | other.mask))
    return int(np.count_nonzero(one.mask & other.mask)) / either if either else 1.0


def _cut(leaf: Branch, settled: Branch) -> None:
    """Let go of the past of a pathway from a settled branch on."""
    for branch in leaf.past():
        if branch.parent is settled:
            branch.parent = None
            return
