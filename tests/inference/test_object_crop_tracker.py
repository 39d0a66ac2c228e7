"""Crops show objects as large as wanted, follow them, and hand them on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.inference.object_crop_tracker import CropTracker, _main_piece
from sam2_core.inference.tile_grid import Window
from sam2_core.inference.tile_masks import ObjectMask
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from tests.inference.plane_scene import cells, iou, trained
from tests.inference.video_scene import FRAME_COUNT, HEIGHT, WIDTH, disc, small_predictor, stack

PLANE = (300, 400)
CELL = [[20.0, 30.0]]


@pytest.fixture(scope="module")
def predictor() -> SAM2VideoPredictor:
    return small_predictor()


def test_a_small_cell_is_seen_large_and_found() -> None:
    picture, truth = cells([(100.0, 100.0), (300.0, 200.0)], 9, PLANE)
    tracker = CropTracker(trained(), share=0.25)
    state = tracker.init_state(picture[None])
    tracker.prompt_points(state, 0, "first", [[100.0, 100.0]], [1])
    found = tracker.prompt_points(state, 0, "second", [[300.0, 200.0]], [1])
    assert found.object_ids == ["first", "second"]
    for mask, cell in zip(found.masks_in(), truth, strict=True):
        assert iou(mask, cell) > 0.6
    for number in (1, 2):
        (place,) = state.records.parts(0, number)
        window = state.window_of(place, 0)
        assert 0.1 < 18 / window.size[0] <= 0.3


def test_a_large_cell_of_a_small_frame_is_shown_with_its_surroundings_mirrored() -> None:
    picture, (truth,) = cells([(27.0, 30.0)], 9, (56, 60))
    tracker = CropTracker(trained())
    state = tracker.init_state(picture[None])
    (found,) = tracker.prompt_points(state, 0, 1, [[27.0, 30.0]], [1]).masks_in()
    (place,) = state.records.parts(0, 1)
    window = state.window_of(place, 0)
    # at the whole frame's magnification it would span a third of what the model sees
    assert 60 < window.size[0] <= 120
    assert 18 / window.size[0] <= 0.25
    assert iou(found, truth) > 0.6
    shown = state.frames_of(place).read(0)
    assert shown.shape == (*tracker.predictor.input_size, 3)


def test_specks_move_no_window() -> None:
    pixels = np.zeros((40, 60), bool)
    pixels[np.arange(5, 20), np.arange(5, 20)] = True  # one piece, though only at corners
    pixels[30:33, 40:44] = True
    found = ObjectMask.from_pixels(1, pixels, (100, 200))

    assert _main_piece(found) == _main_piece(found, (203.0, 130.0)) == Window(105, 205, 120, 220)
    assert _main_piece(found, (241.0, 131.0)) == Window(130, 240, 133, 244)


def test_objects_that_lie_together_share_a_window() -> None:
    picture, truth = cells([(100.0, 100.0), (126.0, 100.0), (300.0, 200.0)], 7, PLANE)
    tracker = CropTracker(trained(), share=0.1, object_size=15)
    state = tracker.init_state(picture[None])
    for number, (x, y) in enumerate([(100.0, 100.0), (126.0, 100.0), (300.0, 200.0)]):
        tracker.prompt_points(state, 0, number, [[x, y]], [1])
    first, second, third = (list(state.records.parts(0, number)) for number in (1, 2, 3))
    assert first == second != third
    # the size was given, so nobody looked at the whole plane
    assert len(state.overview.videos) == 0
    for mask, cell in zip(tracker.masks_on_frame(state, 0).masks_in(), truth, strict=True):
        assert (mask & cell).sum() > 0.5 * cell.sum()


def test_a_window_follows_its_cell_both_ways() -> None:
    steps = 9
    centres = [(80.0 + 12 * step, 90.0 + 8 * step) for step in range(steps)]
    drawn = [cells([centre], 10, PLANE) for centre in centres]
    frames, truth = np.stack([picture for picture, _ in drawn]), [mask for _, (mask,) in drawn]
    tracker = CropTracker(trained(), share=0.12, object_size=20)
    state = tracker.init_state(frames)
    middle = steps // 2
    tracker.prompt_points(state, middle, 1, [list(centres[middle])], [1])
    scores = {}
    for reverse in (False, True):
        for masks in tracker.propagate(state, middle, reverse=reverse):
            scores[masks.frame_index] = iou(masks.masks_in()[0], truth[masks.frame_index])
    assert sorted(scores) == list(range(steps))
    assert np.mean(list(scores.values())) > 0.6, scores
    windows = []
    for frame in range(steps):
        (place,) = state.records.parts(frame, 1)
        windows.append(state.crops[place].window(frame))
        # the cell never comes near the window's border
        assert windows[-1].grown(-10).holds(Window(*(int(value) for value in (*centres[frame][::-1],) * 2)))
    assert len(set(windows)) > 2
    assert tracker.masks_on_frame(state, 0)[1].area


def test_a_cell_that_outgrows_its_window_is_handed_to_a_larger_one() -> None:
    radii = [8, 10, 12, 15, 18, 22, 26]
    drawn = [cells([(200.0, 150.0)], radius, PLANE) for radius in radii]
    tracker = CropTracker(trained(), share=0.2, object_size=17)
    state = tracker.init_state(np.stack([picture for picture, _ in drawn]))
    tracker.prompt_points(state, 0, 1, [[200.0, 150.0]], [1])
    *_, last = tracker.propagate(state)
    assert iou(last.masks_in()[0], drawn[-1][1][0]) > 0.5
    (first_place,), (last_place,) = state.records.parts(0, 1), state.records.parts(len(radii) - 1, 1)
    assert state.crops[last_place].start.area > state.crops[first_place].start.area


def test_a_first_window_that_is_too_small_is_enlarged() -> None:
    picture, (truth,) = cells([(200.0, 150.0)], 30, PLANE)
    tracker = CropTracker(trained(), object_size=20)
    state = tracker.init_state(picture[None])
    found = tracker.prompt_points(state, 0, 1, [[200.0, 150.0]], [1])
    (place,) = state.records.parts(0, 1)
    assert state.crops[place].start.size[0] > state.crops[0].start.size[0]
    assert iou(found.masks_in()[0], truth) > 0.6
    # the prompt moved with it
    assert list(state.objects[1].prompts) == [place]


def test_masks_and_corrections(predictor: SAM2VideoPredictor) -> None:
    tracker = CropTracker(predictor)
    state = tracker.init_state(stack())
    small = disc((60, 30), 7)
    found = tracker.prompt_mask(state, 2, "drawn", small)
    assert iou(found.masks_in()[0], small) > 0.85
    tracker.prompt_points(state, 2, "drawn", [[60.0, 30.0]], [1], clear_old_points=False)
    tracker.prompt_points(state, 2, "drawn", [[10.0, 5.0]], [0], clear_old_points=False)
    # whatever window these needed: one crop has all that was said, in order
    ((place, frames),) = state.objects["drawn"].prompts.items()
    assert list(state.records.parts(2, 1)) == [place]
    drawn, first, second = frames[2]
    assert drawn.mask is not None
    assert drawn.mask.area == small.sum()
    assert (first.points.tolist(), second.points.tolist()) == ([[60.0, 30.0]], [[10.0, 5.0]])
    assert state.crops[place].window(2).holds(Window(5, 10, 30, 60))


@pytest.mark.parametrize("reverse", [False, True])
def test_what_a_crop_was_handed_may_be_taken_back(predictor: SAM2VideoPredictor, reverse: bool) -> None:
    """By a correction: the crop that had the object, and saw nothing of it, cannot go on; where it was prompted can."""
    picture, _ = cells([(100.0, 100.0)], 9, PLANE)
    tracker = CropTracker(predictor, object_size=18)
    state = tracker.init_state(np.repeat(picture[None], 5, axis=0))
    tracker.prompt_points(state, 2, 1, [[100.0, 100.0]], [1])
    tracked = state.object(1)
    (home,) = tracked.prompted_by_a_person()
    other = state.place_for(Window(200, 300, 218, 318), 2)
    assert other != home
    at, before = (1, 2) if reverse else (3, 2)
    nothing = ObjectMask.from_pixels(1, np.zeros((4, 4), bool))
    tracked.prompts[home][4 - at] = tracked.prompts[home].pop(2)
    for frame in (at, before):
        state.records.put(frame, tracked.number, {other: nothing})
    found = next(iter(tracker.propagate(state, at, 1, reverse=reverse)))
    assert found.frame_index == at
    assert list(state.records.parts(at, tracked.number)) == [home]
    state.close()


def test_crops_that_are_closed_are_opened_again(predictor: SAM2VideoPredictor) -> None:
    tracker = CropTracker(predictor, object_size=12, memory_budget_bytes=0)
    state = tracker.init_state(stack(4))
    for number, point in enumerate([[15.0, 15.0], [75.0, 40.0]]):
        tracker.prompt_points(state, 0, number, [point], [1])
    results = list(tracker.propagate(state))
    assert [masks.frame_index for masks in results] == [0, 1, 2, 3]
    assert len(state.videos) == 1
    tracker.remove_object(state, 0)
    assert tracker.masks_on_frame(state, 3).object_ids == [1]


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({"frame_index": FRAME_COUNT, "points": CELL, "labels": [1]}, "does not exist"),
        ({"frame_index": 0, "points": [[3, HEIGHT + 1.0]], "labels": [1]}, "outside the frame"),
        ({"frame_index": 0, "box": [5, 5, 2, 9]}, "inverted"),
        ({"frame_index": 0}, "got neither"),
    ],
)
def test_prompts_that_cannot_be_change_nothing(
    predictor: SAM2VideoPredictor, prompt: dict[str, Any], message: str
) -> None:
    tracker = CropTracker(predictor)
    state = tracker.init_state(stack())
    with pytest.raises(InvalidInputError, match=message):
        tracker.prompt_points(state, prompt.pop("frame_index"), 1, **prompt)
    with pytest.raises(InvalidInputError, match="beyond the plane"):
        tracker.prompt_mask(state, 0, 1, np.ones((3, 3)), origin=(WIDTH, 0))
    assert (state.obj_ids, state.crops, len(state.videos)) == ([], [], 0)
    with pytest.raises(StateError, match="nothing to propagate"):
        tracker.propagate(state)


def test_options_that_cannot_be(predictor: SAM2VideoPredictor) -> None:
    for options in ({"share": 0.0}, {"share": 0.9}, {"object_size": 0.0}, {"memory_budget_bytes": -1}):
        with pytest.raises(InvalidInputError):
            CropTracker(predictor, **options)  # type: ignore[arg-type]
