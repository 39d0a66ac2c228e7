"""What propagators work with: frames in any order, memories and masks of their choice, and records that stay right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.hooks import FrameDone, MemoryChoice, Propagator, Tracking, TrackingDirection
from sam2_core.inference.frame_masks import FrameMasks
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.inference.video_state import VideoState
from tests.inference.video_scene import disc, small_predictor, stack

LEFT, RIGHT = [[20.0, 30.0]], [[70.0, 35.0]]
COUNT = 7


@pytest.fixture(scope="module")
def predictor() -> SAM2VideoPredictor:
    return small_predictor()


@pytest.fixture
def state(predictor: SAM2VideoPredictor) -> Iterator[VideoState]:
    state = predictor.init_state(stack(COUNT))
    yield state
    state.close()


def prompt(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    """Two objects on different frames, one of them on two."""
    predictor.prompt_points(state, 1, "cell", LEFT, [1])
    predictor.prompt_mask(state, 2, 7, disc((70, 35), 9))
    predictor.prompt_mask(state, 5, 7, disc((60, 30), 9))


def step_by_step(tracking: Tracking, *, direction: TrackingDirection = "both") -> Iterator[FrameDone]:
    """What a sweep does, with the propagator's own hands."""
    for frames in tracking.passes(direction):
        for step in tracking.walk(frames):
            choices = [tracking.usual_memory(step, object_id) for object_id in step.objects]
            for found in tracking.candidates(step, choices):
                tracking.keep(max(found, key=lambda candidate: candidate.predicted_iou))
            yield FrameDone(step.frame)


STEP_BY_STEP = Propagator("step-by-step", "", propagate=step_by_step)


def using(function: Callable[[Tracking], Iterator[FrameDone]]) -> Propagator:
    return Propagator("test", "", propagate=function)


def assert_same(found: list[FrameMasks], expected: list[FrameMasks]) -> None:
    assert [each.frame_index for each in found] == [each.frame_index for each in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.object_ids == other.object_ids
        for name in ("logits", "predicted_ious", "object_scores", "boxes"):
            torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    ("direction", "options"),
    [("both", {"memory_temporal_stride_for_eval": 2}), ("backward", {"multimask_output_for_tracking": False})],
)
def test_usual_memories_and_best_candidates_are_a_sweep(options: dict[str, Any], direction: TrackingDirection) -> None:
    predictor = small_predictor(**options)
    results, pointers = [], []
    for propagator in (None, STEP_BY_STEP):
        state = predictor.init_state(stack(COUNT))
        prompt(predictor, state)
        results.append(list(predictor.propagate(state, 4, direction=direction, propagator=propagator)))
        # again, over what is there, with a frame that a person locked meanwhile
        predictor.lock_frame(state, "cell", 3)
        again = predictor.propagate(state, 0, direction="forward", objects=["cell"], propagator=propagator)
        results[-1] += list(again)
        cell = state.objects["cell"]
        pointers.append([cell.pointer(frame) for frame in range(COUNT)])
        assert {frame: cell.tracked[frame] for frame in range(COUNT)} == dict.fromkeys(range(COUNT), False)
        state.close()

    assert_same(results[1], results[0])
    assert all(torch.equal(one, other) for one, other in zip(*pointers, strict=True))


def test_a_candidate_is_remembered_as_it_would_be_on_record(predictor: SAM2VideoPredictor) -> None:
    found = []
    for keeps in (True, False):
        state = predictor.init_state(stack(COUNT))
        predictor.prompt_points(state, 0, 1, LEFT, [1])

        def last_candidates(tracking: Tracking, keeps: bool = keeps) -> Iterator[FrameDone]:
            remembered: list[Any] = []
            for step in tracking.walk(range(1, 4)):
                (candidates,) = tracking.candidates(step, [MemoryChoice(1, remembered)])
                assert len(candidates) == 3
                # the last one, not the one a sweep would take
                chosen = min(candidates, key=lambda candidate: candidate.predicted_iou)
                if keeps:
                    tracking.keep(chosen)
                remembered.insert(0, step.frame if keeps else chosen)
                found.append(chosen)
            yield FrameDone(3)

        (result,) = predictor.propagate(state, propagator=using(last_candidates))
        assert (result.object_scores.isnan().item()) is not keeps
        state.close()

    for kept, held in zip(found[:3], found[3:], strict=True):
        assert torch.equal(kept.record.mask_logits, held.record.mask_logits)
        assert torch.equal(kept.record.object_pointer, held.record.object_pointer)
        assert (kept.predicted_iou, kept.object_score) == (held.predicted_iou, held.object_score)


def test_what_is_remembered_matters(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    list(predictor.propagate(state, 0, 4))

    def with_several_memories(tracking: Tracking) -> Iterator[FrameDone]:
        for step in tracking.walk(range(4, 5)):
            usual = tracking.usual_memory(step, 1)
            choices = [
                usual,
                MemoryChoice(1, [3, 2, 1, None, None, None]),
                MemoryChoice(1, [3]),
                MemoryChoice(1, [None, 3]),
                MemoryChoice(1, [3], pointers=[]),
                MemoryChoice(1),
            ]
            outputs.extend(candidates[0] for candidates in tracking.candidates(step, choices))
            yield FrameDone(step.frame)

    outputs: list[Any] = []
    list(predictor.propagate(state, propagator=using(with_several_memories)))

    same, again, *others = [output.record.mask_logits for output in outputs]
    assert torch.equal(same, again)
    assert all(not torch.equal(one, other) for one in [same, *others] for other in others if one is not other)


@pytest.mark.parametrize(
    ("error", "message", "choice"),
    [
        (StateError, "no mask on record on frame 5", MemoryChoice(1, [5])),
        (StateError, "no object 2", MemoryChoice(2)),
        (InvalidInputError, "remembers 6 masks beside prompted ones; 7", MemoryChoice(1, [None] * 7)),
        (InvalidInputError, "remembers 15 object pointers", MemoryChoice(1, pointers=[1] * 16)),
        (InvalidInputError, "Frame 1 was chosen twice", MemoryChoice(1, [1, 1])),
    ],
)
def test_memories_that_cannot_be(
    predictor: SAM2VideoPredictor, state: VideoState, error: type[Exception], message: str, choice: MemoryChoice
) -> None:
    def chooses(tracking: Tracking) -> Iterator[FrameDone]:
        for step in tracking.walk(range(2, 3)):
            tracking.candidates(step, [choice])
            yield FrameDone(step.frame)

    predictor.prompt_points(state, 0, 1, LEFT, [1])
    list(predictor.propagate(state, 0, 2))

    with pytest.raises(error, match=message):
        list(predictor.propagate(state, propagator=using(chooses)))


def test_masks_of_a_persons_are_never_overwritten(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    prompt(predictor, state)
    list(predictor.propagate(state, 0))
    predictor.lock_frame(state, "cell", 3)
    predictor.prompt_points(state, 4, "cell", [[30.0, 35.0]], [1])
    known = {frame: state.objects["cell"].latest(frame) for frame in (1, 3, 4)}
    seen = {}

    def everywhere(tracking: Tracking) -> Iterator[FrameDone]:
        assert tracking.fixed_frames("cell") == [1, 3, 4]
        assert tracking.fixed_frames(7) == [2, 5]
        for step in tracking.walk(range(COUNT)):
            seen[step.frame] = (step.objects, step.fixed)
            for object_id in step.fixed:
                (found, *_) = tracking.candidates(step, [MemoryChoice(object_id)])[0]
                with pytest.raises(StateError, match=f"frame {step.frame} comes from a person"):
                    tracking.keep(found)
            yield FrameDone(step.frame)

    list(predictor.propagate(state, propagator=using(everywhere)))

    assert seen[3] == ((7,), ("cell",))
    assert seen[5] == (("cell",), (7,))
    assert seen[0] == (("cell", 7), ())
    for frame, record in known.items():
        assert record is not None
        after = state.objects["cell"].latest(frame)
        assert after is not None
        assert torch.equal(after.mask_logits, record.mask_logits)


def test_a_frame_can_be_done_again(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    predictor.prompt_points(state, 0, 2, RIGHT, [1])

    def thinks_again(tracking: Tracking) -> Iterator[FrameDone]:
        found = {}
        for step in tracking.walk(range(1, 4)):
            for candidates in tracking.candidates(step, [MemoryChoice(object_id) for object_id in step.objects]):
                candidates.sort(key=lambda candidate: candidate.predicted_iou)
                tracking.keep(candidates[-1])
                found[candidates[0].object_id, step.frame] = candidates[0]
            yield FrameDone(step.frame)
        tracking.keep(found[2, 1])
        yield FrameDone(1, (2,))

    results = list(predictor.propagate(state, propagator=using(thinks_again)))

    assert [(result.frame_index, result.object_ids) for result in results] == [
        (1, [1, 2]),
        (2, [1, 2]),
        (3, [1, 2]),
        (1, [2]),
    ]
    first, last = results[0], results[-1]
    assert not torch.equal(first.logits[1], last.logits[0])
    changed = (first.logits[1, 0] > 0) ^ (last.logits[0, 0] > 0)
    x0, y0, x1, y1 = last.boxes[0].tolist()
    assert changed.any()
    assert changed[y0:y1, x0:x1].sum() == changed.sum()
    assert torch.equal(predictor.masks_on_frame(state, 1).logits[1], last.logits[0])


@pytest.mark.parametrize("propagator", [STEP_BY_STEP, None])
def test_a_run_that_was_broken_off_goes_on(
    predictor: SAM2VideoPredictor, tmp_path: Path, propagator: Propagator | None
) -> None:
    whole = predictor.init_state(stack(COUNT))
    prompt(predictor, whole)
    expected = list(predictor.propagate(whole, 1, direction="both", propagator=propagator))
    whole.close()
    tracked: list[int] = []

    def resumes(tracking: Tracking, *, direction: TrackingDirection = "both") -> Iterator[FrameDone]:
        for frames in tracking.passes(direction):
            for step in tracking.walk(frames):
                if not step.is_done:
                    tracked.append(step.frame)
                    for found in tracking.candidates(step, [tracking.usual_memory(step, one) for one in step.objects]):
                        tracking.keep(max(found, key=lambda candidate: candidate.predicted_iou))
                yield FrameDone(step.frame)

    resuming = propagator and Propagator("step-by-step", "", propagate=resumes)
    options: Any = {"direction": "both", "propagator": resuming, "resume": True}
    state = predictor.init_state(stack(COUNT), records=tmp_path / "records")
    prompt(predictor, state)
    steps = predictor.propagate(state, 1, **options)
    first = [next(steps) for _ in range(3)]
    steps.close()  # type: ignore[attr-defined]
    state.close()
    again = predictor.init_state(stack(COUNT), records=tmp_path / "records")
    rest = list(predictor.propagate(again, 1, already={1, 2, 3}, **options))

    assert_same(first, expected[:3])
    assert [result.frame_index for result in rest] == [4, 5, 6, 0]
    for one, other in zip(rest, expected[3:], strict=True):
        assert torch.equal(one.logits, other.logits)
    if propagator is not None:
        assert tracked == [1, 2, 3, 4, 5, 6, 0]
    again.close()


def test_stopping_leaves_whole_frames_only(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    predictor.prompt_points(state, 0, 2, RIGHT, [1])
    asked = []

    def second_object_of_the_second_frame() -> bool:
        asked.append(1)
        # one question a frame, one a group of objects, which is one object on a CPU
        return len(asked) > 7

    results = list(
        predictor.propagate(
            state, direction="forward", propagator=STEP_BY_STEP, should_stop=second_object_of_the_second_frame
        )
    )

    assert [result.frame_index for result in results] == [0, 1, 2]
    assert 3 not in state.objects[1].tracked


def test_chosen_masks_are_not_tracked_again_where_their_logits_are_gone(predictor: SAM2VideoPredictor) -> None:
    def worst(tracking: Tracking) -> Iterator[FrameDone]:
        for step in tracking.walk(range(1, COUNT)):
            for found in tracking.candidates(step, [MemoryChoice(one) for one in step.objects]):
                tracking.keep(min(found, key=lambda candidate: candidate.predicted_iou))
            yield FrameDone(step.frame)

    state = predictor.init_state(stack(COUNT), records_quota_bytes=0)
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    results = list(predictor.propagate(state, propagator=using(worst)))
    state.forget_memories()
    lost = [frame for frame in range(COUNT) if not state.objects[1].has_logits(frame)]
    assert len(lost) >= COUNT - 2

    for frame in lost:
        # the same mask, at the low resolution at which it is kept
        found = predictor.masks_on_frame(state, frame)
        assert torch.equal(found.low_res_logits > 0, results[frame - 1].low_res_logits > 0)
    list(predictor.propagate(state))
    state.forget_memories()
    assert state.objects[1].has_lost_logits(2)  # a sweep's mask can be found again
    state.close()


def test_an_object_that_stays_empty_is_given_up(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    predictor.prompt_points(state, 0, 2, RIGHT, [1])
    looked_for = []

    def loses_the_second(tracking: Tracking) -> Iterator[FrameDone]:
        for step in tracking.walk(range(1, COUNT)):
            looked_for.append(step.objects)
            for found in tracking.candidates(step, [MemoryChoice(one) for one in step.objects]):
                if found[0].object_id == 2:
                    found[0].record.mask = torch.zeros_like(found[0].record.mask)
                tracking.keep(found[0])
            yield FrameDone(step.frame)

    list(predictor.propagate(state, propagator=using(loses_the_second), stop_when_empty=2))

    assert looked_for == [(1, 2), (1, 2), (1,), (1,), (1,), (1,)]


def test_objects_that_come_and_go(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    seen = []
    for result in predictor.propagate(state, propagator=STEP_BY_STEP, direction="forward"):
        seen.append(result.object_ids)
        if result.frame_index == 1:
            predictor.prompt_points(state, 3, 2, RIGHT, [1])
        elif result.frame_index == 4:
            predictor.remove_object(state, 1)

    assert seen == [[1], [1], [1, 2], [1, 2], [1, 2], [2], [2]]


def test_a_step_is_over_when_the_next_begins(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    def looks_back(tracking: Tracking) -> Iterator[FrameDone]:
        first, second = list(tracking.walk(range(1, 3)))
        tracking.candidates(first, [MemoryChoice(1)])
        yield FrameDone(second.frame)

    predictor.prompt_points(state, 0, 1, LEFT, [1])

    with pytest.raises(StateError, match="step of frame 1 is over"):
        list(predictor.propagate(state, propagator=using(looks_back)))


def test_objects_that_are_tracked_jointly_can_only_be_swept() -> None:
    predictor = small_predictor(joint_objects=True)
    state = predictor.init_state(stack(3))
    predictor.prompt_points(state, 0, 1, LEFT, [1])

    assert [result.frame_index for result in predictor.propagate(state, direction="both")] == [0, 1, 2]
    with pytest.raises(InvalidInputError, match="tracked jointly"):
        list(predictor.propagate(state, propagator=STEP_BY_STEP))
    state.close()
