"""A correction runs outward as far as it matters, and no further; locked frames stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.inference.frame_masks import box_around
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.inference.video_state import VideoState
from tests.inference.plane_scene import cells, trained
from tests.inference.video_scene import disc, small_predictor, stack

LEFT, RIGHT = [[20.0, 30.0]], [[70.0, 35.0]]
COUNT = 8


@pytest.fixture(scope="module")
def predictor() -> SAM2VideoPredictor:
    return small_predictor()


@pytest.fixture
def state(predictor: SAM2VideoPredictor) -> VideoState:
    state = predictor.init_state(stack(COUNT))
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    predictor.prompt_points(state, 0, 2, RIGHT, [1])
    list(predictor.propagate(state))
    return state


def masks(predictor: SAM2VideoPredictor, state: VideoState) -> list[torch.Tensor]:
    return [predictor.masks_on_frame(state, frame).logits for frame in range(COUNT)]


def test_a_correction_runs_to_the_next_prompted_frame_both_ways(
    predictor: SAM2VideoPredictor, state: VideoState
) -> None:
    predictor.prompt_mask(state, 6, 1, disc((30, 40), 7))
    predictor.propagate_in_video_preflight(state)
    before = masks(predictor, state)
    predictor.prompt_mask(state, 3, 1, disc((60, 20), 7))
    results = list(predictor.recompute(state, 1, 3))
    after = masks(predictor, state)

    assert [result.frame_index for result in results] == [4, 5, 2, 1]
    assert all(result.object_ids == [1] for result in results)
    for result in results:
        frame = result.frame_index
        assert torch.equal(after[frame][0], result.logits[0])
        changed = (after[frame][0, 0] > 0) ^ (before[frame][0, 0] > 0)
        assert tuple(result.boxes[0].tolist()) == box_around(changed)
    for frame in range(COUNT):
        assert torch.equal(after[frame][1], before[frame][1])  # the other object
        if frame in (0, 6, 7):
            assert torch.equal(after[frame][0], before[frame][0])
    assert any(result.boxes.any() for result in results)


def test_it_goes_forward_as_propagation_would(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    predictor.prompt_mask(state, 3, 1, disc((60, 20), 7))
    results = {result.frame_index: result for result in predictor.recompute(state, 1, 3)}

    other = predictor.init_state(stack(COUNT))
    predictor.prompt_points(other, 0, 1, LEFT, [1])
    list(predictor.propagate(other))
    predictor.prompt_mask(other, 3, 1, disc((60, 20), 7))
    for expected in predictor.propagate(other, 4, 4):
        torch.testing.assert_close(results[expected.frame_index].logits, expected.logits, rtol=0, atol=1e-3)


def test_it_ends_when_nothing_changes_any_more(predictor: SAM2VideoPredictor) -> None:
    state = predictor.init_state(stack(14))
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    list(predictor.propagate(state))
    # nothing was corrected: what is computed anew comes out as it was
    results = [result.frame_index for result in predictor.recompute(state, 1, 2)]

    forward = [frame for frame in results if frame > 2]
    assert forward == list(range(3, 10))


def test_a_small_correction_dies_out_before_the_end() -> None:
    """Half of the cell on one frame: masks change while that is remembered, then seven do not, and that ends it."""
    count = 28
    pixels, (cell,) = cells([(60.0, 64.0)], 20, (128, 128))
    frames = np.stack([pixels] * count)
    predictor = trained()
    state = predictor.init_state(frames)
    predictor.prompt_mask(state, 0, 1, cell)
    list(predictor.propagate(state))
    before = [state.objects[1].record(frame).mask.clone() for frame in range(count)]
    given = predictor.masks_on_frame(state, 4).masks[0].clone()
    given[:, 60:] = False
    predictor.prompt_mask(state, 4, 1, given.numpy())
    results = [result.frame_index for result in predictor.recompute(state, 1, 4)]
    after = [state.objects[1].record(frame).mask for frame in range(count)]

    forward = [frame for frame in results if frame > 4]
    changed = [frame for frame in range(5, count) if not torch.equal(before[frame], after[frame])]
    assert changed, "the correction changed nothing"
    last = max(changed)
    assert forward == list(range(5, last + 8))  # seven unchanged ones, the last of which ends it
    assert last + 8 < count


def test_locked_frames_are_never_overwritten(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    before = masks(predictor, state)
    predictor.lock_frame(state, 1, 5)
    assert list(state.objects[1].conditioning) == [0, 5]
    predictor.prompt_mask(state, 3, 1, disc((60, 20), 7))
    assert [result.frame_index for result in predictor.recompute(state, 1, 3)] == [4, 2, 1]
    list(predictor.propagate(state))
    list(predictor.propagate_in_video(state))
    after = masks(predictor, state)

    assert torch.equal(after[5][0], before[5][0])
    assert not torch.equal(after[4][0], before[4][0])
    predictor.lock_frame(state, 1, 5, locked=False)
    assert list(state.objects[1].conditioning) == [0]
    predictor.prompt_mask(state, 3, 1, disc((60, 20), 7))  # the official method had tracked over it
    list(predictor.propagate(state))
    assert not torch.equal(predictor.masks_on_frame(state, 5).logits[0], before[5][0])
    # a locked frame that a person prompts anew conditions the others with the new mask
    predictor.lock_frame(state, 1, 6)
    corrected = predictor.prompt_mask(state, 6, 1, disc((20, 20), 6)).logits
    list(predictor.propagate(state))
    assert torch.equal(predictor.masks_on_frame(state, 6).logits[0], corrected[0])
    assert list(state.objects[1].conditioning) == [0, 6]


def test_objects_join_and_are_corrected_while_tracking_goes_on(predictor: SAM2VideoPredictor) -> None:
    state = predictor.init_state(stack(COUNT))
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    seen = {}
    for result in predictor.propagate(state):
        seen[result.frame_index] = result.object_ids
        if result.frame_index == 2:
            predictor.prompt_mask(state, 2, "late", disc((70, 35), 9))
            predictor.prompt_mask(state, 5, 1, disc((60, 20), 7))  # ahead
    assert seen == {frame: [1] if frame < 3 else [1, "late"] for frame in range(COUNT)}

    alone = predictor.init_state(stack(COUNT))
    predictor.prompt_mask(alone, 2, "late", disc((70, 35), 9))
    for expected in predictor.propagate(alone, 3):
        found = predictor.masks_on_frame(state, expected.frame_index).logits[1]
        torch.testing.assert_close(found, expected.logits[0], rtol=0, atol=1e-3)
    assert list(state.objects[1].conditioning) == [0, 5]


def test_work_can_be_given_up(predictor: SAM2VideoPredictor, state: VideoState) -> None:
    assert list(predictor.recompute(state, 1, 3, should_stop=lambda: True)) == []
    before = masks(predictor, state)
    other = small_predictor(max_objects_per_batch=1)
    asked = []

    def second_object_of_the_second_frame() -> bool:
        asked.append(None)
        return len(asked) > 5  # once before each frame and each object

    results = list(other.propagate(state, 1, should_stop=second_object_of_the_second_frame))
    assert [result.frame_index for result in results] == [1]
    after = masks(predictor, state)
    assert torch.equal(after[2][1], before[2][1])
    assert torch.equal(after[3], before[3])


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (StateError, "no object 5", lambda p, s: p.lock_frame(s, 5, 0)),
        (InvalidInputError, "Frame 99", lambda p, s: p.lock_frame(s, 1, 99)),
        (StateError, "no mask on frame 2", lambda p, s: p.lock_frame(s, 3, 2)),
        (StateError, "no object 5", lambda p, s: p.recompute(s, 5, 0)),
        (InvalidInputError, "Frame 99", lambda p, s: p.recompute(s, 1, 99)),
        (StateError, "no mask on frame 2", lambda p, s: p.recompute(s, 3, 2)),
    ],
    ids=[f"{call}-{what}" for call in ("lock", "recompute") for what in ("object", "frame", "mask")],
)
def test_wrong_calls_change_nothing(
    error: type[Exception], message: str, call: Any, predictor: SAM2VideoPredictor, state: VideoState
) -> None:
    predictor.prompt_points(state, 0, 3, RIGHT, [1])
    before = masks(predictor, state)
    with pytest.raises(error, match=message):
        call(predictor, state)
    assert all(torch.equal(one, other) for one, other in zip(masks(predictor, state), before, strict=True))
