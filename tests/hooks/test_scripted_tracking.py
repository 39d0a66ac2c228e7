"""The tracking for tests of propagators does what the real one does."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pytest

from sam2_core.builtin.propagators import between_corrections, both
from sam2_core.errors import InvalidInputError, StateError
from sam2_core.hooks import FrameDone, MemoryChoice, Propagator
from sam2_core.hooks.scripted_tracking import Mask, ScriptedTracking
from sam2_core.inference.propagation import Direction, passes_over

MASK = np.ones((4, 4), bool)


def network(object_id: Hashable, frame: int, remembered: list[Mask]) -> list[tuple[Mask, float, float]]:
    return [(MASK, 0.5, 1.0), (~MASK, 0.6, 1.0)]


@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
@pytest.mark.parametrize(("start", "count"), [(None, None), (5, 2), (0, None), (7, 20)])
def test_the_passes_of_the_real_one(direction: Direction, start: int | None, count: int | None) -> None:
    tracking = ScriptedTracking(8, {1: {3: MASK}, 2: {2: MASK, 6: MASK}}, network, start=start, count=count)

    first = 2 if start is None else start
    assert tracking.passes(direction) == [frames for frames, _ in passes_over(first, count, 8, direction)]


def test_built_in_propagators_run_on_it() -> None:
    tracking = ScriptedTracking(6, {1: {1: MASK, 4: MASK}}, network)

    done = tracking.run(Propagator("between", propagate=between_corrections))

    assert [one.frame for one in done] == [2, 3]
    assert not tracking.kept[1, 2].mask.any()  # the one with the higher predicted IoU
    assert tracking.run(Propagator("both", propagate=both)) == [FrameDone(frame) for frame in (1, 2, 3, 4, 5, 0)]


def test_refuses_what_the_real_one_refuses() -> None:
    tracking = ScriptedTracking(4, {1: {0: MASK}}, network)
    steps = tracking.walk(range(4))
    (found,) = tracking.candidates(next(steps), [MemoryChoice(1)])
    with pytest.raises(StateError, match="a person's"):
        tracking.keep(found[0])
    step = next(steps)
    with pytest.raises(StateError, match="no mask of 1 on frame 3"):
        tracking.candidates(step, [MemoryChoice(1, [3])])
    with pytest.raises(InvalidInputError, match="Too much"):
        tracking.candidates(step, [MemoryChoice(1, [None] * 7)])


def test_memories_lie_as_far_away_as_they_are_where_there_is_room() -> None:
    tracking = ScriptedTracking(40, {1: {0: MASK}}, network)
    (step,) = tracking.walk(range(30, 31))

    def placed(*frames: int) -> list[object]:
        return list(MemoryChoice.of(tracking, step, 1, frames).masks)

    assert placed(29, 28) == [29, 28, None, None, None, None]
    assert placed(27, 3) == [None, None, 27, None, None, 3]
    assert placed(20, 19, 18) == [None, None, None, 20, 19, 18]
    assert placed(29, 9, 8, 7, 6, 5, 4) == [29, 9, 8, 7, 6, 5]
    assert placed() == [None] * 6
    assert MemoryChoice.of(tracking, step, 1, range(29, 9, -1)).pointers == range(29, 14, -1)
