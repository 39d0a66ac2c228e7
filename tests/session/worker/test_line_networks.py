"""Whole frames and crops answer to the same calls, each as the predictor or the crop tracker would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from sam2_core.inference.object_crop_tracker import CropTracker
from sam2_core.inference.tile_grid import Window
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.session.worker.line_networks import FollowingCrops, LineNetwork, LinePropagation, WholeFrames
from sam2_core.session.worker.messages import FrameStatement, MaskData
from sam2_core.volumes.frames import open_frames
from tests.session.job_scene import frames, predictor

FRAMES = 4
CLICK = FrameStatement(1, ((30.0, 20.0),), (1,))
BOX = FrameStatement(1, box=(50.0, 30.0, 70.0, 50.0))


@pytest.fixture(params=["exact", "crops"])
def network(request: pytest.FixtureRequest) -> Iterator[LineNetwork]:
    stack = open_frames(frames(FRAMES))
    opened: LineNetwork = (
        WholeFrames(predictor(), predictor().init_state(stack))
        if request.param == "exact"
        else FollowingCrops(predictor(), stack)
    )
    yield opened
    opened.close()


def asked(*objects: int, should_stop: Callable[[], bool] = lambda: False, **options: Any) -> LinePropagation:
    return LinePropagation(objects, options.pop("propagator", "both"), {}, None, None, should_stop)


def areas(found: Iterator[tuple[int, dict[int, Any]]]) -> list[tuple[int, dict[int, int]]]:
    return [(frame, {one: each.mask.area for one, each in masks.items()}) for frame, masks in found]


def test_objects_are_told_tracked_and_forgotten(network: LineNetwork) -> None:
    assert not network.has_found(1, 1)
    network.forget(1)
    assert network.tell(1, CLICK)().keys() == {1}
    answer = network.tell(2, BOX)()
    assert answer.keys() == {2}, "only what was asked about"
    assert answer[2].mask.area
    assert network.has_found(1, 1)
    assert not network.has_found(1, 2)
    assert network.can_hear_of_others

    steps = areas(network.propagate(asked(1, 2)))
    assert [frame for frame, _ in steps] == [1, 2, 3, 0]
    assert all(found.keys() == {1, 2} for _, found in steps)
    assert network.has_found(1, 2)

    network.forget(1)
    assert not network.has_found(1, 2)
    assert [found.keys() for _, found in areas(network.propagate(asked(2, propagator="backward")))] == [{2}, {2}]


def test_a_mask_is_taken_as_it_is_shown(network: LineNetwork) -> None:
    mask = np.zeros(open_frames(frames(1)).frame_size, bool)
    mask[10:30, 20:45] = True
    said = FrameStatement(2, mask=MaskData.of(MaskPixels.cut(mask)), locked=True)
    found = network.tell(1, said)()[1].mask
    assert found.iou(MaskPixels.cut(mask)) > 0.9
    assert {frame for frame, _ in areas(network.propagate(asked(1)))} == set(range(FRAMES))


def test_memories_that_are_let_go_of_are_made_again(network: LineNetwork) -> None:
    network.forget_memories()
    network.tell(1, CLICK)
    network.tell(2, BOX)
    expected = areas(network.propagate(asked(1, 2, propagator="forward")))
    network.forget_memories()
    again = areas(network.propagate(asked(1, 2, propagator="forward")))
    assert [frame for frame, _ in again] == [frame for frame, _ in expected]
    # records are kept in the model's precision: masks are the same but for pixels on the edge
    for (_, found), (_, before) in zip(again, expected, strict=True):
        assert all(abs(found[one] - before[one]) <= 0.05 * before[one] + 5 for one in before)


def test_it_stops_when_asked(network: LineNetwork) -> None:
    network.tell(1, CLICK)
    stop: list[bool] = []
    steps = network.propagate(asked(1, should_stop=lambda: bool(stop)))
    assert next(steps)[0] == 1
    stop.append(True)
    assert list(steps) == []
    assert network.can_hear_of_others


def test_crops_hear_of_others_between_crops_only() -> None:
    network = FollowingCrops(predictor(), open_frames(frames(FRAMES)))
    assert network.can_hear_of_others, "nothing is open yet"
    network.tell(1, CLICK)
    network.tell(2, BOX)
    seen: list[bool] = []

    def look() -> bool:
        seen.append(network.can_hear_of_others)
        return False

    list(network.propagate(asked(1, 2, should_stop=look)))
    assert set(seen) == {False, True}
    network.close()


def test_crops_are_those_of_the_crop_tracker() -> None:
    stack = open_frames(frames(FRAMES))
    network = FollowingCrops(predictor(), stack)
    tracker = CropTracker(predictor())
    state = tracker.init_state(stack)
    answer = tracker.prompt_points(state, 1, 1, [[30.0, 20.0]], [1])[1]
    found = network.tell(1, CLICK)()[1]
    whole = Window(0, 0, *stack.frame_size)
    assert np.array_equal(found.mask.paste(stack.frame_size), answer.pixels_in(whole))
    assert (found.predicted_iou, found.object_score) == (answer.predicted_iou, answer.object_score)
    for (frame, masks), expected in zip(
        network.propagate(asked(1, propagator="forward")), tracker.propagate(state, 1), strict=True
    ):
        assert frame == expected.frame_index
        assert np.array_equal(masks[1].mask.paste(stack.frame_size), expected[1].pixels_in(whole))
    network.close()
    state.close()
