"""Objects carried on by several hypotheses at once (SAM2Long, Ding et al. 2024, arXiv:2410.16268)."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from itertools import chain, groupby
from typing import Annotated

from sam2_core.hooks import FrameDone, Tracking, TrackingDirection
from sam2_memory_tree.tree import Rules, Tree


def memory_tree(
    tracking: Tracking,
    *,
    direction: TrackingDirection = "both",
    pathways: Annotated[int, {"min": 1, "max": 16}] = 3,
    horizon: Annotated[int, {"min": 1}] = 32,
    min_iou: Annotated[float, {"min": 0.0, "max": 1.0}] = 0.3,
    unsure: Annotated[float, {"min": 0.0}] = 2.0,
    reach: Annotated[int, {"min": 1}] = 60,
) -> Iterator[FrameDone]:
    """Carry objects on by the masks that prove best over many frames.

    Parameters
    ----------
    tracking : Tracking
    direction : {"forward", "backward", "both"}
        Which way from the start.
    pathways : int
        How many hypotheses an object has.
    horizon : int
        After how many frames a decision is final.
    min_iou : float
        Predicted IoU above which a mask is remembered.
    unsure : float
        Size of the object score's logit below which the network counts as unsure.
    reach : int
        How many frames back the memory looks.

    Yields
    ------
    FrameDone
        Each frame with all objects, as the best pathway has it, and again where another one proved to be right.
    """
    rules = Rules(pathways, horizon, min_iou, unsure, reach)
    for way, stretches in groupby(tracking.stretches(direction), key=lambda stretch: stretch[0].step):
        trees: dict[Hashable, Tree] = {}
        for step in chain.from_iterable(tracking.walk(*stretch) for stretch in stretches):
            ended = [object_id for object_id in trees if object_id not in step.objects]
            yield from _settled(tracking, {object_id: trees.pop(object_id) for object_id in ended}, everything=True)
            for object_id in step.objects:
                if object_id not in trees:
                    earlier = _remembered_before(tracking, object_id, step.frame, way, rules)
                    trees[object_id] = Tree(object_id, rules, earlier)
            # every pathway of every object, together
            starts = [(trees[object_id], start) for object_id in step.objects for start in trees[object_id].starts]
            choices = [tree.memory(tracking, step, start) for tree, start in starts]
            found = list(zip(starts, tracking.candidates(step, choices), strict=True))
            for object_id in step.objects:
                tree = trees[object_id]
                mine = [(start, candidates) for (owner, start), candidates in found if owner is tree]
                tree.grow([start for start, _ in mine], [candidates for _, candidates in mine])
                tree.show(tracking)
            yield FrameDone(step.frame)
            yield from _settled(tracking, trees)
        yield from _settled(tracking, trees, everything=True)


def _settled(tracking: Tracking, trees: Mapping[Hashable, Tree], *, everything: bool = False) -> Iterator[FrameDone]:
    """Settle what can be, and say on which frames other masks were shown."""
    there = set(tracking.objects)
    changed: dict[int, list[Hashable]] = {}
    for object_id, tree in trees.items():
        if object_id in there:
            for frame in tree.settle(tracking, everything=everything):
                changed.setdefault(frame, []).append(object_id)
    for frame in sorted(changed):
        yield FrameDone(frame, tuple(changed[frame]))


def _remembered_before(tracking: Tracking, object_id: Hashable, frame: int, step: int, rules: Rules) -> list[int]:
    """Frames directly before one that are on record and worth remembering, the latest last."""
    fixed = set(tracking.fixed_frames(object_id))
    found: list[int] = []
    for back in range(1, rules.reach + 1):
        candidate = tracking.recorded(object_id, frame - step * back)
        if candidate is None:
            break
        # those of a person's are remembered anyway
        if rules.is_remembered(candidate) and candidate.frame not in fixed:
            found.append(candidate.frame)
    return found[::-1]
