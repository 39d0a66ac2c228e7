"""Propagators that only say in which order frames are tracked work with crops too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.hooks import FrameDone, Tracking
from sam2_core.inference.object_crop_tracker import CropState, CropTracker
from sam2_core.inference.plane_sweeps import PlaneSweeps
from sam2_core.inference.propagator_choice import PropagatorChoice
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.inference.video_tracker import Cancelled
from tests.inference.video_scene import small_predictor, stack

FRAMES = 5


@pytest.fixture(scope="module")
def predictor() -> SAM2VideoPredictor:
    return small_predictor()


@pytest.fixture
def tracker(predictor: SAM2VideoPredictor) -> CropTracker:
    return CropTracker(predictor, object_size=15)


@pytest.fixture
def state(tracker: CropTracker) -> Iterator[CropState]:
    opened = tracker.init_state(stack(FRAMES))
    tracker.prompt_points(opened, 1, 1, [[30.0, 20.0]], [1])
    tracker.prompt_points(opened, 3, 2, [[60.0, 40.0]], [1])
    yield opened
    opened.close()


def found(steps: Iterator[Any]) -> list[tuple[int, list[Any], list[tuple[int, ...]]]]:
    return [(one.frame_index, one.object_ids, [each.box for each in one.objects]) for one in steps]


def test_both_ways_are_two_propagations(tracker: CropTracker, state: CropState) -> None:
    choice = PropagatorChoice.of("both", None, False, {})
    result = found(choice.run(PlaneSweeps(tracker, state, [1, 2])))

    other = tracker.init_state(stack(FRAMES))
    tracker.prompt_points(other, 1, 1, [[30.0, 20.0]], [1])
    tracker.prompt_points(other, 3, 2, [[60.0, 40.0]], [1])
    expected = [
        *found(tracker.propagate(other, 1, 2, objects=[1])),
        *found(tracker.propagate(other, 3)),
        *found(tracker.propagate(other, 2, 2, reverse=True, objects=[2])),
        *found(tracker.propagate(other, 0, reverse=True)),
    ]
    other.close()
    assert result == expected
    # each object from its own click on
    assert [(frame, objects) for frame, objects, _ in result] == [
        (1, [1]), (2, [1]), (3, [1, 2]), (4, [1, 2]), (2, [2]), (1, [2]), (0, [1, 2])
    ]  # fmt: skip


def test_what_a_propagator_is_told(tracker: CropTracker, state: CropState) -> None:
    sweeps = PlaneSweeps(tracker, state, [1, 2], count=2)
    assert (sweeps.objects, sweeps.frame_count, sweeps.start, sweeps.count) == ([1, 2], FRAMES, None, 2)
    assert sweeps.passes("both") == [range(1, 3), range(0, -1, -1)]
    assert sweeps.passes("backward") == [range(1, -1, -1)]
    assert sweeps.stretches("forward") == [(range(1, 3), [1]), (range(3, 5), [2])]
    from_four = PlaneSweeps(tracker, state, [1, 2], start=4)
    assert from_four.passes("forward") == [range(4, 5)]
    assert from_four.stretches("both") == [(range(4, 5), None), (range(3, -1, -1), None)]
    assert (sweeps.fixed_frames(1), sweeps.fixed_frames(2)) == ([1], [3])
    tracker.prompt_mask(state, 4, 1, np.eye(*state.frame_size) > 0)
    assert sweeps.fixed_frames(1) == [1, 4]
    with pytest.raises(InvalidInputError, match='"forward", "backward" or "both"'):
        sweeps.passes("sideways")  # type: ignore[arg-type]


def test_some_objects_only_and_those_that_are_still_there(tracker: CropTracker, state: CropState) -> None:
    sweeps = PlaneSweeps(tracker, state, [1, 2])
    assert [done.objects for done in sweeps.sweep(range(1, 3), [2])] == [(2,), (2,)]
    for number, done in enumerate(sweeps.sweep(range(FRAMES))):
        assert done.objects == ((1, 2) if number < 2 else (2,))
        if number == 1:
            tracker.remove_object(state, 1)
    assert sweeps.objects == [2]
    assert list(sweeps.sweep(range(2), [1])) == []
    assert list(sweeps.sweep(range(0))) == []
    with pytest.raises(StateError, match="7 is not one of those"):
        list(sweeps.sweep(range(2), [7]))


def test_masks_of_a_frame_that_was_swept_before(tracker: CropTracker, state: CropState) -> None:
    sweeps = PlaneSweeps(tracker, state, [1, 2])
    swept = [sweeps.results(done) for done in sweeps.sweep(range(1, 4))]
    assert found(iter([sweeps.results(FrameDone(2))])) == found(iter(swept[1:2]))
    (one,) = sweeps.results(FrameDone(2, (2,))).objects
    assert one.box == swept[1][2].box


def test_frames_cannot_be_left_out(tracker: CropTracker, state: CropState) -> None:
    with pytest.raises(InvalidInputError, match="from frame to frame; got every 2th"):
        list(PlaneSweeps(tracker, state, [1]).sweep(range(0, 5, 2)))


def test_stopped_between_frames(tracker: CropTracker, state: CropState) -> None:
    stop = Event()
    steps = PlaneSweeps(tracker, state, [1], should_stop=stop.is_set).sweep(range(FRAMES))
    assert [next(steps).frame, next(steps).frame] == [0, 1]
    stop.set()
    with pytest.raises(Cancelled):
        next(steps)

    stop.clear()
    again = PlaneSweeps(tracker, state, [1], start=3, should_stop=stop.is_set)
    masks = PropagatorChoice.of("both", None, False, {}).run(again)
    assert [next(masks).frame_index, next(masks).frame_index] == [3, 4]
    stop.set()
    assert list(masks) == [], "no sweep backward begins"


@pytest.mark.parametrize(
    "ask",
    [
        lambda tracking: tracking.walk(range(2)),
        lambda tracking: tracking.usual_memory(None, 1),
        lambda tracking: tracking.candidates(None, []),
        lambda tracking: tracking.keep(None),
        lambda tracking: tracking.recorded(1, 1),
    ],
    ids=["walk", "usual_memory", "candidates", "keep", "recorded"],
)
def test_memories_cannot_be_chosen(tracker: CropTracker, state: CropState, ask: Callable[[Tracking], Any]) -> None:
    sweeps: Any = PlaneSweeps(tracker, state, [1])
    assert (sweeps.mask_memories, sweeps.pointer_memories) == (0, 0)
    with pytest.raises(InvalidInputError, match='Track with the preset "exact"'):
        ask(sweeps)
