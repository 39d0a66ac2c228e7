"""Through tiles and crops, too, a correction runs outward as far as it matters, and locked frames stay."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.inference.object_crop_tracker import CropTracker
from sam2_core.inference.tile_tracker import TiledTracker
from tests.inference.video_scene import disc, small_predictor, stack

LEFT, RIGHT = [[20.0, 30.0]], [[70.0, 35.0]]
COUNT = 8

Tracker = TiledTracker | CropTracker


@cache
def made(kind: str) -> Tracker:
    if kind == "crops":
        return CropTracker(small_predictor(), object_size=14)
    return TiledTracker(small_predictor(), **({} if kind == "one tile" else {"tile_size": 48, "halo": 12}))


@pytest.fixture(params=["one tile", "tiles", "crops"])
def tracker(request: pytest.FixtureRequest) -> Tracker:
    return made(request.param)


def tracked(tracker: Tracker, count: int = COUNT, records: Path | None = None) -> Any:
    state: Any = tracker.init_state(stack(count), records=records)
    tracker.prompt_points(state, 0, 1, LEFT, [1])
    tracker.prompt_points(state, 0, 2, RIGHT, [1])
    list(tracker.propagate(state, stop_when_empty=None))
    return state


def masks(tracker: Any, state: Any, count: int = COUNT) -> np.ndarray:
    """(frame, object, y, x) bool."""
    return np.stack([tracker.masks_on_frame(state, frame).masks_in() for frame in range(count)])


def test_a_correction_runs_to_the_next_prompted_frame_both_ways(tracker: Any) -> None:
    state = tracked(tracker)
    tracker.prompt_mask(state, 6, 1, disc((30, 40), 7))
    tracker.prompt_mask(state, 3, 1, disc((60, 20), 7))
    before = masks(tracker, state)
    results = list(tracker.recompute(state, 1, 3))
    after = masks(tracker, state)

    assert [result.frame_index for result in results] == [4, 5, 2, 1]
    assert all(result.object_ids == [1] for result in results)
    for result in results:
        np.testing.assert_array_equal(result.masks_in()[0], after[result.frame_index, 0])
    np.testing.assert_array_equal(after[:, 1], before[:, 1])  # the other object
    np.testing.assert_array_equal(after[[0, 3, 6, 7], 0], before[[0, 3, 6, 7], 0])
    assert (after[4, 0] != before[4, 0]).any()


def test_one_tile_is_corrected_as_the_predictor_does() -> None:
    tracker: Any = made("one tile")
    state = tracked(tracker)
    predictor = tracker.predictor
    plain = predictor.init_state(stack(COUNT))
    predictor.prompt_points(plain, 0, 1, LEFT, [1])
    predictor.prompt_points(plain, 0, 2, RIGHT, [1])
    list(predictor.propagate(plain, stop_when_empty=None))
    for one, its in ((tracker, state), (predictor, plain)):
        one.prompt_mask(its, 3, 1, disc((60, 20), 7))
    expected = list(predictor.recompute(plain, 1, 3))
    found = list(tracker.recompute(state, 1, 3))
    assert [one.frame_index for one in found] == [one.frame_index for one in expected] == [4, 5, 6, 7, 2, 1]
    for one, other in zip(found, expected, strict=True):
        assert (one.masks_in() == other.masks.numpy()).mean() > 0.999


def test_it_ends_when_nothing_changes_any_more() -> None:
    tracker: Any = made("one tile")
    state = tracker.init_state(stack(14))
    tracker.prompt_points(state, 0, 1, LEFT, [1])
    list(tracker.propagate(state, stop_when_empty=None))
    # nothing was corrected: what is computed anew comes out as it was
    results = [result.frame_index for result in tracker.recompute(state, 1, 2)]
    assert [frame for frame in results if frame > 2] == list(range(3, 10))


@pytest.mark.parametrize("gives_up", [False, True], ids=["nothing changes", "given up"])
def test_frames_that_a_correction_does_not_reach_stay_as_they_were(
    gives_up: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What tiles handed to each other there, too: the masks that are kept came from it."""
    tracker: Any = made("tiles")
    count, reached = 12, range(2, 4) if gives_up else range(2, 9)
    state: Any = tracker.init_state(stack(count))
    tracker.prompt_points(state, count - 1, 1, LEFT, [1])
    list(tracker.propagate(state, reverse=True, stop_when_empty=None))
    before, known = masks(tracker, state, count), handed(state)
    beyond = {frame: its for frame, its in known.items() if reached.stop <= frame < count - 1}
    assert beyond
    tracker.prompt_mask(state, 1, 1, disc((60, 20), 7))
    # seven in a row that are called unchanged, through more than one tile
    monkeypatch.setattr("sam2_core.inference.plane_correction._is_same", lambda *_: not gives_up)
    steps = tracker.recompute(state, 1, 1)
    found = []
    for result in steps:
        found.append(result.frame_index)
        if gives_up and len(found) == len(reached):
            steps.close()
    assert [frame for frame in found if frame > 1] == list(reached)

    after = masks(tracker, state, count)
    np.testing.assert_array_equal(after[reached.stop :], before[reached.stop :])
    assert (after[list(reached), 0] != before[list(reached), 0]).any()
    assert {frame: its for frame, its in handed(state).items() if reached.stop <= frame < count - 1} == beyond
    # it is followed on from there like any other
    tracker.prompt_mask(state, 9, 1, disc((60, 20), 7))
    assert next(tracker.recompute(state, 1, 9)).frame_index == 10


def handed(state: Any) -> dict[int, dict[int, list[tuple[Any, int]]]]:
    """What places handed to each other of object 1, by frame and place: window and area of each mask."""
    found: dict[int, dict[int, list[tuple[Any, int]]]] = {}
    for place, frames in state.object(1).prompts.items():
        for frame, prompts in frames.items():
            if all(prompt.is_handed for prompt in prompts):
                found.setdefault(frame, {})[place] = [(prompt.mask.window, prompt.mask.area) for prompt in prompts]
    return found


def test_locked_frames_are_never_overwritten(tracker: Any) -> None:
    state = tracked(tracker)
    before = masks(tracker, state)
    tracker.lock_frame(state, 1, 5)
    tracker.prompt_mask(state, 3, 1, disc((60, 20), 7))
    assert [result.frame_index for result in tracker.recompute(state, 1, 3)] == [4, 2, 1]
    np.testing.assert_array_equal(masks(tracker, state)[5, 0], before[5, 0])
    seen = {one.frame_index: one.masks_in()[0] for one in tracker.propagate(state, stop_when_empty=None)}
    after = masks(tracker, state)
    np.testing.assert_array_equal(after[5, 0], before[5, 0])
    np.testing.assert_array_equal(seen[5], before[5, 0])
    assert (after[4, 0] != before[4, 0]).any()

    tracker.lock_frame(state, 1, 5, locked=False)
    np.testing.assert_array_equal(masks(tracker, state)[5, 0], before[5, 0])  # until it is tracked again
    list(tracker.propagate(state, stop_when_empty=None))
    assert (masks(tracker, state)[5, 0] != before[5, 0]).any()

    # a locked frame that a person prompts anew keeps the new mask, also once it is not locked any more
    tracker.lock_frame(state, 1, 6)
    corrected = tracker.prompt_mask(state, 6, 1, disc((20, 20), 6)).masks_in()[0]
    list(tracker.propagate(state, stop_when_empty=None))
    np.testing.assert_array_equal(masks(tracker, state)[6, 0], corrected)
    tracker.lock_frame(state, 1, 6, locked=False)
    assert state.object(1).prompted_frames() == [0, 3, 6]


def test_other_frames_attend_to_a_locked_one(tracker: Any) -> None:
    """A mask that was drawn, tracked on, and locked, says as much to the frames before it as a prompt there."""
    state = tracked(tracker)
    before = masks(tracker, state)
    tracker.lock_frame(state, 1, 4)
    number = state.object(1).number
    places = [place for place, part in state.records.parts(4, number).items() if part.window.area]
    assert sorted(state.object(1).prompted_on(4)) == sorted(places)
    assert state.object(1).prompted_frames() == [0]
    if places:
        conditioning = {frame for place in places for frame in state.videos.open(place).objects[number].pending} | {
            frame for place in places for frame in state.videos.open(place).objects[number].conditioning
        }
        assert 4 in conditioning
    np.testing.assert_array_equal(masks(tracker, state), before)


@pytest.mark.parametrize("kind", ["tiles", "crops"])
def test_locks_are_kept_with_the_records(kind: str, tmp_path: Path) -> None:
    tracker: Any = made(kind)
    state = tracked(tracker, records=tmp_path / "records")
    tracker.lock_frame(state, 1, 5)
    before = masks(tracker, state)
    state.close()
    state = tracker.init_state(stack(COUNT), records=tmp_path / "records")
    assert state.object(1).locked == {5}
    tracker.prompt_mask(state, 3, 1, disc((60, 20), 7))
    list(tracker.propagate(state, stop_when_empty=None))
    np.testing.assert_array_equal(masks(tracker, state)[5, 0], before[5, 0])
    state.close()


def test_work_can_be_given_up(tracker: Any) -> None:
    state = tracked(tracker)
    before = masks(tracker, state)
    assert list(tracker.recompute(state, 1, 3, should_stop=lambda: True)) == []
    np.testing.assert_array_equal(masks(tracker, state), before)


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (StateError, "no object 5", lambda t, s: t.lock_frame(s, 5, 0)),
        (InvalidInputError, "99", lambda t, s: t.lock_frame(s, 1, 99)),
        (StateError, "no mask on frame 2", lambda t, s: t.lock_frame(s, 3, 2)),
        (StateError, "no object 5", lambda t, s: t.recompute(s, 5, 0)),
        (InvalidInputError, "99", lambda t, s: t.recompute(s, 1, 99)),
        (StateError, "no mask on frame 2", lambda t, s: t.recompute(s, 3, 2)),
    ],
    ids=[f"{call}-{what}" for call in ("lock", "recompute") for what in ("object", "frame", "mask")],
)
def test_wrong_calls_change_nothing(error: type[Exception], message: str, call: Any) -> None:
    tracker: Any = made("tiles")
    state: Any = tracker.init_state(stack(COUNT))
    tracker.prompt_points(state, 0, 1, LEFT, [1])
    tracker.prompt_points(state, 0, 3, RIGHT, [1])
    with pytest.raises(error, match=message):
        call(tracker, state)
    assert state.object(1).locked == state.object(3).locked == set()
