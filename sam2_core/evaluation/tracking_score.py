"""TRA of the Cell Tracking Challenge, frame after frame.

Labels and their divisions are a graph: a node for each object of each frame, an edge from each to where the object is
next, and one from the last node of an object to the first of each that it divided into. TRA is what it costs to turn
the predicted graph into the true one, against what it costs to draw the true one by hand (Matula et al. 2015, Cell
Tracking Accuracy Measurement Based on Comparison of Acyclic Oriented Graphs).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sam2_core.evaluation.cell_tracking import ADD, REMOVE, SPLIT, covering
from sam2_core.evaluation.compared_labels import ComparedLabels
from sam2_core.evaluation.frame_threads import Frames
from sam2_core.evaluation.overlap import overlaps_of

#: What it costs to remove a wrong link, to add a missing one, and to say of one that it is a division, or is none.
REMOVE_LINK, ADD_LINK, CHANGE_LINK = 1.0, 1.5, 1.0


class _Node(NamedTuple):
    """An object on a frame."""

    frame: int
    label: int


@dataclass
class _Graph:
    """What of a graph the next frame can be linked to: the last node of each object, and its partner in the other."""

    parents: Mapping[int, int]

    def __post_init__(self) -> None:
        self._last: dict[int, _Node] = {}
        self._partners: dict[int, _Node | None] = {}

    def add(self, frame: int, partners: Mapping[int, int | None]) -> dict[tuple[_Node, _Node], bool]:
        """Take a frame's objects, with their partners, and return the links to them and whether each is a division."""
        links = {}
        for label in partners:
            is_division = label not in self._last
            source = self._last.get(self.parents.get(label, 0) if is_division else label)
            if source is not None:
                links[source, _Node(frame, label)] = is_division
        return links

    def move_on(self, frame: int, partners: Mapping[int, int | None]) -> None:
        """From now on, these objects were last on this frame."""
        for label, partner in partners.items():
            self._last[label] = _Node(frame, label)
            self._partners[label] = None if partner is None else _Node(frame, partner)

    def counterpart(self, link: tuple[_Node, _Node], partners: Mapping[int, int | None]) -> tuple[_Node, _Node] | None:
        """Return the link between the partners of a link's ends, where both have one."""
        source, target = link
        first, second = self._partners[source.label], partners[target.label]
        return None if first is None or second is None else (first, _Node(target.frame, second))


def tracking_score(frames: Frames | ComparedLabels) -> Mapping[str, float]:
    """TRA: 1 less the cost of correcting what was found, as a share of the cost of drawing all by hand; 0 at least.

    Parameters
    ----------
    frames : iterable of (ndarray, ndarray), or ComparedLabels
        Predicted and true labels (y, x) along t; divisions are known from a :class:`ComparedLabels` only.

    Returns
    -------
    dict of str to float
        "TRA", NaN without true objects; then how many there are of each error: "splits" (a predicted object that holds
        several true ones, less one each), "missed", "extra", and of links "extra links", "missed links",
        "wrong links" (a division that is none, or the other way round).

    Notes
    -----
    An object's parent is linked from where it was last seen before the object appears.
    """
    compared = frames if isinstance(frames, ComparedLabels) else ComparedLabels(frames)
    ours, real = _Graph(compared.predicted_parents), _Graph(compared.true_parents)
    errors: Counter[str] = Counter()
    by_hand = 0.0
    for number, overlap in enumerate(overlaps_of(compared)):
        covered = covering(overlap)
        holds = Counter(covered.values())
        # the true object that is the only one which a predicted one holds, and the other way round
        partners_of_ours: dict[int, int | None] = dict.fromkeys(overlap.predicted)
        partners_of_real: dict[int, int | None] = dict.fromkeys(overlap.truth)
        for other, own in covered.items():
            if holds[own] == 1:
                partners_of_ours[own], partners_of_real[other] = other, own
        errors["splits"] += sum(held - 1 for held in holds.values())
        errors["missed"] += len(overlap.truth) - len(covered)
        errors["extra"] += len(overlap.predicted) - len(holds)

        links, true_links = ours.add(number, partners_of_ours), real.add(number, partners_of_real)
        for link, is_division in links.items():
            expected = ours.counterpart(link, partners_of_ours)
            if expected is not None:
                if expected not in true_links:
                    errors["extra links"] += 1
                elif true_links[expected] != is_division:
                    errors["wrong links"] += 1
        errors["missed links"] += sum(real.counterpart(link, partners_of_real) not in links for link in true_links)
        ours.move_on(number, partners_of_ours)
        real.move_on(number, partners_of_real)
        by_hand += ADD * len(overlap.truth) + ADD_LINK * len(true_links)
    costs = {
        "splits": SPLIT,
        "missed": ADD,
        "extra": REMOVE,
        "extra links": REMOVE_LINK,
        "missed links": ADD_LINK,
        "wrong links": CHANGE_LINK,
    }
    cost = sum(errors[name] * price for name, price in costs.items())
    score = 1 - min(cost, by_hand) / by_hand if by_hand else math.nan
    return {"TRA": score} | {name: float(errors[name]) for name in costs}
