"""Prompts are answered, and count from the next propagation on."""

from __future__ import annotations

import pytest
import torch

from sam2_core.inference.video_predictor import SAM2VideoPredictor
from tests.inference.video_scene import disc, small_predictor, stack

LEFT, RIGHT = [[20.0, 30.0]], [[70.0, 35.0]]


@pytest.fixture(scope="module")
def predictor() -> SAM2VideoPredictor:
    return small_predictor()


@pytest.mark.parametrize("kind", ["points", "mask"])
def test_the_frame_where_all_began_may_be_corrected_after_tracking(predictor: SAM2VideoPredictor, kind: str) -> None:
    state = predictor.init_state(stack(3))
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    before = [result.masks for result in predictor.propagate(state)]
    if kind == "points":
        corrected = predictor.prompt_points(state, 0, 1, RIGHT, [1])
    else:
        corrected = predictor.prompt_mask(state, 0, 1, disc((60, 20), 7))
    after = [result.masks for result in predictor.propagate(state)]

    assert list(state.objects[1].conditioning) == [0]
    assert torch.equal(after[0], corrected.masks)
    assert not any(torch.equal(*pair) for pair in zip(before, after, strict=True))


def test_a_prompt_waits_until_it_is_taken_in(predictor: SAM2VideoPredictor) -> None:
    state = predictor.init_state(stack(2))
    predictor.prompt_points(state, 0, 1, LEFT, [1])
    tracked = state.objects[1]
    assert (list(tracked.pending), list(tracked.conditioning)) == ([0], [])
    predictor.propagate_in_video_preflight(state)

    assert (list(tracked.pending), list(tracked.conditioning)) == ([], [0])


def test_the_others_are_shown_only_where_they_are_wanted(predictor: SAM2VideoPredictor) -> None:
    state = predictor.init_state(stack(2))
    predictor.prompt_points(state, 0, 1, LEFT, [1])

    assert predictor.prompt_points(state, 0, 2, RIGHT, [1]).object_ids == [1, 2]
    assert predictor.prompt_points(state, 0, 2, RIGHT, [1], others=False).object_ids == [2]
