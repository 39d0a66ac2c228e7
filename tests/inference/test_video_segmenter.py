"""Directions, objects that end, streams, labels and estimates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.inference.video_predictor import SAM2VideoPredictor, SAM2VideoPredictorLegacy
from tests.inference.video_scene import HEIGHT, WIDTH, disc, small_predictor, stack

LEFT, RIGHT = [[20.0, 30.0]], [[70.0, 35.0]]
COUNT = 7


@pytest.fixture(scope="module")
def predictor() -> SAM2VideoPredictor:
    return small_predictor()


def test_both_directions_from_any_prompt(predictor: SAM2VideoPredictor) -> None:
    state = predictor.init_state(stack(COUNT))
    predictor.prompt_points(state, 3, 1, LEFT, [1])

    def frames(**options: Any) -> list[int]:
        return [result.frame_index for result in predictor.propagate(state, **options)]

    assert frames(direction="both") == [3, 4, 5, 6, 2, 1, 0]
    assert frames(direction="both", frame_count=2) == [3, 4, 2, 1]
    assert frames(direction="backward", frame_count=2) == frames(reverse=True, frame_count=2) == [3, 2]
    assert frames(direction="forward", start_frame=5) == [5, 6]
    assert frames(direction="both", start_frame=0, frame_count=1) == [0]
    with pytest.raises(InvalidInputError, match="direction"):
        frames(direction="sideways")
    with pytest.raises(InvalidInputError, match="reverse=True"):
        frames(direction="both", reverse=True)


def test_only_some_objects_can_be_tracked(predictor: SAM2VideoPredictor) -> None:
    state = predictor.init_state(stack(3))
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    predictor.prompt_points(state, 0, 2, RIGHT, [1])

    assert [result.object_ids for result in predictor.propagate(state, objects=[2])] == [[2]] * 3
    assert list(state.objects[1].tracked) == []
    with pytest.raises(StateError, match="no object 9"):
        predictor.propagate(state, objects=[9])


@pytest.mark.parametrize("axis", ["z", "t"])
def test_along_z_an_object_that_stays_empty_is_given_up(axis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # an object score far below zero: after its prompt the object is nowhere
    predictor = small_predictor()
    with torch.no_grad():
        predictor.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.fill_(-100)
    state = predictor.init_state(stack(COUNT))
    monkeypatch.setattr(state.images.stack, "axis", axis)
    predictor.prompt_mask(state, 0, 1, disc((20, 30), 8))
    predictor.prompt_mask(state, 5, 1, disc((20, 30), 8))
    results = list(predictor.propagate(state))

    assert [result.frame_index for result in results] == list(range(COUNT))
    tracked = [frame for frame in range(COUNT) if frame in state.objects[1].tracked]
    assert tracked == ([0, 1, 2, 3, 5, 6] if axis == "z" else list(range(COUNT)))
    if axis == "z":
        assert results[4].object_ids == [1]
        assert results[4].object_scores.isnan().all()
        list(predictor.propagate(state, stop_when_empty=None))
        assert 4 in state.objects[1].tracked
    with pytest.raises(InvalidInputError, match="at least 1"):
        predictor.propagate(state, stop_when_empty=0)


def test_boxes_are_where_masks_changed(predictor: SAM2VideoPredictor) -> None:
    state = predictor.init_state(stack(3))
    first = predictor.prompt_mask(state, 0, 1, disc((20, 30), 8))
    y, x = np.nonzero(first.masks[0].numpy())
    assert first.boxes[0].tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
    assert predictor.masks_on_frame(state, 0).boxes.tolist() == [[0, 0, 0, 0]]
    second = predictor.prompt_mask(state, 0, 2, disc((70, 30), 8))
    assert second.boxes[0].tolist() == [0, 0, 0, 0]
    assert second.boxes[1].any()
    before = [result.masks for result in predictor.propagate(state)]
    again = list(predictor.propagate(state))
    assert not any(result.boxes.any() for result in again)
    assert all(torch.equal(result.masks, masks) for result, masks in zip(again, before, strict=True))


def test_a_stream_gives_what_a_stack_gives() -> None:
    # with few pointers, so that a short stack already has as many frames as a stream, which may be endless
    predictor = small_predictor(max_obj_ptrs_in_encoder=3)
    frames = stack(COUNT)
    whole = predictor.init_state(frames)
    predictor.prompt_points(whole, 0, 1, LEFT, [1])
    expected = [result.logits for result in predictor.propagate(whole)]

    state = predictor.init_stream(frames[0], kept_frames=2)
    with pytest.raises(StateError, match="init_stream"):
        predictor.step(whole, frames[0])
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    buffer = np.empty_like(frames[0])
    for index in range(1, COUNT):
        buffer[:] = frames[index]  # as cameras do
        result = predictor.step(state, buffer)
        assert result.frame_index == index
        assert torch.equal(result.logits[0], expected[index][0])
        if index == 3:
            predictor.prompt_points(state, 3, "late", RIGHT, [1])
    assert result.object_ids == [1, "late"]
    assert state.num_frames == COUNT
    with pytest.raises(InvalidInputError, match="has passed"):
        state.images.stack.read(2)
    with pytest.raises(InvalidInputError, match="frames of this stream"):
        predictor.step(state, frames[0][:10])
    state.close()


def test_a_stream_without_objects_shows_none(predictor: SAM2VideoPredictor) -> None:
    state = predictor.init_stream(np.zeros((20, 30), np.uint8))
    assert predictor.step(state, np.zeros((20, 30), np.uint8)).logits.shape == (0, 1, 20, 30)
    with pytest.raises(InvalidInputError, match="contrast"):
        predictor.init_stream(np.zeros((20, 30), np.uint16))
    state = predictor.init_stream(np.zeros((20, 30), np.uint16), contrast=(0, 500))
    assert predictor.step(state, np.zeros((20, 30), np.uint16)).frame_index == 1


def test_labels_are_a_view_of_overlapping_masks(predictor: SAM2VideoPredictor) -> None:
    state = predictor.init_state(stack(2))
    predictor.prompt_mask(state, 0, 5, disc((40, 30), 20))
    alone = predictor.labels_on_frame(state, 0)
    predictor.prompt_mask(state, 0, 3, disc((45, 30), 8))

    assert (alone.shape, set(np.unique(alone))) == ((HEIGHT, WIDTH), {0, 5})
    below, above = (predictor.labels_on_frame(state, 0, priority=order) for order in ([5, 3], "lower id"))
    assert set(np.unique(below)) == {0, 5}
    assert set(np.unique(above)) == {0, 3, 5}
    assert np.array_equal(predictor.labels_on_frame(state, 0, priority="last"), above)
    predictor.remove_object(state, 3)
    assert np.array_equal(predictor.labels_on_frame(state, 0), alone)


def test_other_objects_are_left_out_of_a_prompts_answer_where_they_are_not_wanted(
    predictor: SAM2VideoPredictor,
) -> None:
    state = predictor.init_state(stack(1))
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    assert predictor.prompt_points(state, 0, 2, RIGHT, [1], others=False).object_ids == [2]
    assert predictor.prompt_mask(state, 0, 3, disc((40, 30), 9), others=False).object_ids == [3]
    assert predictor.masks_on_frame(state, 0).object_ids == [1, 2, 3]


def test_an_estimate_changes_nothing_and_grows_with_the_work(predictor: SAM2VideoPredictor) -> None:
    state = predictor.init_state(stack(COUNT))
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    estimate = predictor.estimate(state, presets={"half": lambda state, frames, objects: 1.5 * frames * objects})

    assert (estimate.frames, estimate.objects) == (COUNT, 1)
    assert estimate.cheaper == {"half": 1.5 * COUNT}
    expected = COUNT * (estimate.seconds_per_frame + estimate.seconds_per_object)
    assert estimate.seconds == pytest.approx(expected)
    assert min(estimate.seconds_per_frame, estimate.seconds_per_object, estimate.memory_bytes) > 0
    many = predictor.estimate(state, 3000, 200)
    assert many.disk_bytes > 10_000 * estimate.disk_bytes
    assert many.memory_bytes <= predictor.memory_budget_bytes
    assert list(state.objects[1].pending) == [0]
    with pytest.raises(InvalidInputError, match="0 or more"):
        predictor.estimate(state, -1)


def test_objects_that_are_tracked_jointly_share_their_frames() -> None:
    predictor = small_predictor("sam2.sam2_video_predictor_legacy.SAM2VideoPredictor")
    assert isinstance(predictor, SAM2VideoPredictorLegacy)
    state = predictor.init_state(stack(4))
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    predictor.prompt_points(state, 2, 2, RIGHT, [1])
    results = list(predictor.propagate(state))

    assert [list(each.conditioning) for each in state.objects.values()] == [[0, 2], [0, 2]]
    assert (results[0].logits[1] == -1024).all()
    with pytest.raises(StateError, match="tracked jointly"):
        predictor.prompt_points(state, 0, 3, LEFT, [1])
    with pytest.raises(InvalidInputError, match="jointly"):
        predictor.recompute(state, 1, 1)
    predictor.remove_object(state, 2)
    assert list(state.objects[1].conditioning) == [0]
    predictor.clear_all_prompts_in_frame(state, 0, 1)
    assert state.obj_ids == [1]
    assert list(state.objects[1].recent) == []


def test_a_prompt_answers_for_its_own_object_alone_where_that_is_wanted(predictor: SAM2VideoPredictor) -> None:
    state = predictor.init_state(stack(2))
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    alone = predictor.prompt_points(state, 0, 2, RIGHT, [1], others=False)

    assert alone.object_ids == [2]
    assert torch.equal(alone.logits, predictor.masks_on_frame(state, 0).logits[1:])
    masked = predictor.prompt_mask(state, 1, 3, disc((20, 30), 8), others=False)
    assert masked.object_ids == [3]
    assert predictor.masks_on_frame(state, 1).object_ids == [1, 2, 3]


def test_labels_made_in_portions_are_the_same(predictor: SAM2VideoPredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    state = predictor.init_state(stack(2))
    for number, point in enumerate(([20.0, 30.0], [70.0, 35.0], [40.0, 20.0]), 1):
        predictor.prompt_points(state, 0, number, [point], [1])
    for priority in ("surest", "lower id", "last", [2, 3, 1]):
        whole = predictor.labels_on_frame(state, 0, priority)
        monkeypatch.setattr("sam2_core.inference.video_segmenter.VIEW_BYTES", 1)
        assert np.array_equal(predictor.labels_on_frame(state, 0, priority), whole)
        monkeypatch.undo()
    assert not predictor.labels_on_frame(state, 1).any()
