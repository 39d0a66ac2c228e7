"""Tiles: where one is enough they change nothing, elsewhere objects go from tile to tile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sam2_core.errors import InvalidInputError, InvalidTypeError, StateError
from sam2_core.inference.tile_grid import Window
from sam2_core.inference.tile_masks import PlaneMasks
from sam2_core.inference.tile_tracker import TiledState, TiledTracker
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from tests.inference.plane_scene import cells, iou, trained
from tests.inference.video_scene import FRAME_COUNT, HEIGHT, WIDTH, disc, small_predictor, stack

TILES: dict[str, Any] = {"tile_size": 48, "halo": 12}
CELL = [[20.0, 30.0]]


@pytest.fixture(scope="module")
def predictor() -> SAM2VideoPredictor:
    return small_predictor()


# -- one tile ----------------------------------------------------------------------------------------------------------


def test_a_plane_that_is_one_tile_gets_what_the_predictor_finds(predictor: SAM2VideoPredictor) -> None:
    plain = predictor.init_state(stack())
    tracker = TiledTracker(predictor)
    state = tracker.init_state(stack())
    assert len(state.grid) == 1
    prompts: list[tuple[int, str, dict[str, Any]]] = [
        (1, "cell", {"points": CELL, "labels": [1]}),
        (1, "other", {"box": [50, 20, 80, 50]}),
        (3, "late", {"points": [[70.0, 35.0]], "labels": [1]}),
        (1, "cell", {"points": [[40.0, 30.0]], "labels": [0], "clear_old_points": False}),
    ]
    for frame, name, prompt in prompts:
        expected = predictor.prompt_points(plain, frame, name, **prompt)
        found = tracker.prompt_points(state, frame, name, **prompt)
        assert found.object_ids == expected.object_ids
        np.testing.assert_array_equal(found.masks_in(), expected.masks.numpy())
    mask = disc((60, 30), 9)
    expected = predictor.prompt_mask(plain, 2, "drawn", mask)
    np.testing.assert_array_equal(tracker.prompt_mask(state, 2, "drawn", mask).masks_in(), expected.masks.numpy())

    for reverse in (False, True):
        tracked = tracker.propagate(state, 1, reverse=reverse)
        for expected in predictor.propagate(plain, 1, reverse=reverse):
            found = next(tracked)
            assert found.frame_index == expected.frame_index
            np.testing.assert_array_equal(found.masks_in(), expected.masks.numpy())
            scores = [one.predicted_iou for one in found.objects]
            np.testing.assert_allclose(scores, expected.predicted_ious.numpy(), rtol=1e-6)
        assert next(tracked, None) is None
    for frame in range(FRAME_COUNT):
        expected_masks = predictor.masks_on_frame(plain, frame).masks.numpy()
        np.testing.assert_array_equal(tracker.masks_on_frame(state, frame).masks_in(), expected_masks)


# -- several tiles -----------------------------------------------------------------------------------------------------


def test_inside_a_core_tiles_find_what_the_whole_plane_at_the_same_resolution_shows() -> None:
    centres = [(x, y) for y in (60.0, 190.0, 330.0) for x in (60.0, 190.0, 330.0)]
    picture, truth = cells(centres, 17, (384, 384))
    model = trained()
    tiled = TiledTracker(model, tile_size=256, halo=48)
    state = tiled.init_state(picture[None])
    assert len(state.grid) == 4
    for number, centre in enumerate(centres):
        tiled.prompt_points(state, 0, number, [list(centre)], [1])
    found = tiled.masks_on_frame(state, 0).masks_in()
    assert np.mean([iou(mask, cell) for mask, cell in zip(found, truth, strict=True)]) > 0.8

    # as one tile would show them whose input were as large as the plane
    for number, (x, y) in enumerate(centres):
        tile = state.grid.at(x, y)
        part = model.init_state(picture[tile.window.rows, tile.window.columns][None])
        local = [[x - tile.window.left, y - tile.window.top]]
        expected = model.prompt_points(part, 0, 1, local, [1]).masks[0].numpy()
        # parts of it may have been handed on to a neighbour
        core = tile.core.within(tile.window)
        assert iou(found[number][tile.core.rows, tile.core.columns], expected[core]) > 0.95


def test_a_cell_on_the_border_of_what_a_tile_sees_is_whole() -> None:
    tracker = TiledTracker(trained(), tile_size=256, halo=24)
    width = 440
    state = tracker.init_state(np.zeros((1, 256, width), np.uint8))
    first, second = state.grid
    border = first.window.right
    # its centre lies in the first tile's core, its far side beyond what that tile sees
    centre = (first.core.right - 2.0, 128.0)
    picture, (truth,) = cells([centre], 40, (256, width))
    assert truth[:, border:].any()
    state = tracker.init_state(picture[None])

    found = tracker.prompt_points(state, 0, "cell", [list(centre)], [1])["cell"]

    assert sorted(state.records.parts(0, 1)) == [first.index, second.index]
    mask = found.pixels_in(Window(0, 0, 256, width))
    assert mask[:, border:].sum() > 0.5 * truth[:, border:].sum()
    assert iou(mask, truth) > 0.75


def test_a_cell_that_moves_from_tile_to_tile_is_followed() -> None:
    steps = 17
    centres = [(60.0 + 20 * step, 128.0) for step in range(steps)]
    drawn = [cells([centre], 20, (256, 440)) for centre in centres]
    frames, truth = np.stack([picture for picture, _ in drawn]), [mask for _, (mask,) in drawn]
    tracker = TiledTracker(trained(), tile_size=256, halo=64)
    state = tracker.init_state(frames)
    tracker.prompt_points(state, 0, "cell", [list(centres[0])], [1])

    found = [masks.masks_in()[0] for masks in tracker.propagate(state)]

    scores = [iou(mask, expected) for mask, expected in zip(found, truth, strict=True)]
    assert np.mean(scores) > 0.7, scores
    assert scores[-1] > 0.5
    # where it was lost sight of it is no longer looked for
    assert list(state.records.parts(0, 1)) == [0]
    assert list(state.records.parts(steps - 1, 1)) == [len(state.grid) - 1]

    # and back again, from what was found last
    back = {masks.frame_index: masks.masks_in()[0] for masks in tracker.propagate(state, steps - 1, reverse=True)}
    assert sorted(back) == list(range(steps))
    assert iou(back[0], truth[0]) > 0.5


def test_only_tiles_with_objects_are_opened(predictor: SAM2VideoPredictor) -> None:
    tracker = TiledTracker(predictor, tile_size=30, halo=4)
    state = tracker.init_state(stack())
    assert len(state.videos) == 0
    tracker.prompt_mask(state, 0, 1, np.ones((4, 4), bool), origin=(10, 10))
    assert list(state.videos) == [0]
    assert len(state.grid) > 6


def test_a_budget_closes_tiles_and_results_stay(predictor: SAM2VideoPredictor) -> None:
    points = [[10.0, 10.0], [80.0, 10.0], [10.0, 50.0], [80.0, 50.0]]
    found: dict[int, list[PlaneMasks]] = {}
    for budget in (2**40, 0):
        tracker = TiledTracker(predictor, **TILES, memory_budget_bytes=budget)
        state = tracker.init_state(stack(1))
        for number, point in enumerate(points):
            tracker.prompt_points(state, 0, number, [point], [1])
        assert (len(state.videos) == 1) == (budget == 0)
        # a correction in a tile that was closed starts from what was said there
        corrected = tracker.prompt_points(state, 0, 0, [[14.0, 14.0]], [0], clear_old_points=False)
        found[budget] = [corrected, tracker.masks_on_frame(state, 0)]
    for one, other in zip(*found.values(), strict=True):
        for first, second in zip(one.objects[1:], other.objects[1:], strict=True):
            np.testing.assert_array_equal(first.mask, second.mask)
        # what its neighbour was handed is known by its mask there, not by its logits
        assert one.objects[0].iou(other.objects[0]) > 0.9


def test_tracking_goes_on_when_tiles_are_closed_between_frames() -> None:
    centres = [(60.0, 60.0), (330.0, 330.0)]
    frames = np.stack([cells([(x + 2 * step, y) for x, y in centres], 17, (384, 384))[0] for step in range(4)])
    truth = cells([(x + 6, y) for x, y in centres], 17, (384, 384))[1]
    for budget in (2**40, 0):
        tracker = TiledTracker(trained(), tile_size=256, halo=32, memory_budget_bytes=budget)
        state = tracker.init_state(frames)
        for number, centre in enumerate(centres):
            tracker.prompt_points(state, 0, number, [list(centre)], [1])
        *_, last = tracker.propagate(state)
        assert len(state.videos) == (2 if budget else 1)
        assert min(iou(mask, cell) for mask, cell in zip(last.masks_in(), truth, strict=True)) > 0.6


# -- prompts -----------------------------------------------------------------------------------------------------------


def test_a_mask_goes_to_every_tile_it_covers(predictor: SAM2VideoPredictor) -> None:
    tracker = TiledTracker(predictor, **TILES)
    state = tracker.init_state(stack())
    large = disc((45, 30), 28)
    found = tracker.prompt_mask(state, 2, "large", large)
    assert len(state.records.parts(2, 1)) > 1
    assert iou(found.masks_in()[0], large) > 0.9
    small = tracker.prompt_mask(state, 2, "small", np.ones((9, 9)), origin=(30, 20))["small"]
    assert len(state.records.parts(2, 2)) == 1
    assert small.window.grown(-3) & Window(20, 30, 29, 39) == small.window.grown(-3)
    assert found.frame_index == 2
    # a mask that another call found will do
    again = tracker.prompt_mask(state, 3, "again", found["large"])
    assert iou(again["again"].pixels_in(Window(0, 0, HEIGHT, WIDTH)), large) > 0.9


def test_points_in_several_tiles_are_shared_out(predictor: SAM2VideoPredictor) -> None:
    tracker = TiledTracker(predictor, tile_size=30, halo=4)
    state = tracker.init_state(stack(1))
    tracker.prompt_points(state, 0, 1, [[10, 10], [80, 50]], [1, 1])
    first, last = state.grid.at(10, 10).index, state.grid.at(80, 50).index
    assert {first, last} <= set(state.records.parts(0, 1))
    (prompt,) = state.objects[1].prompts[last][0]
    assert prompt.points.tolist() == [[80, 50]]


def test_what_was_handed_on_follows_a_new_prompt(predictor: SAM2VideoPredictor) -> None:
    tracker = TiledTracker(predictor, **TILES)
    state = tracker.init_state(stack(1))
    tracker.prompt_mask(state, 0, 1, disc((45, 30), 28))
    tracker.prompt_mask(state, 0, 1, np.ones((5, 5), bool), origin=(4, 4))
    assert list(state.objects[1].prompts) == [state.grid.at(6, 6).index]
    assert tracker.masks_on_frame(state, 0)[1].window.bottom < 20


def test_an_object_can_be_removed(predictor: SAM2VideoPredictor) -> None:
    tracker = TiledTracker(predictor, **TILES)
    state = tracker.init_state(stack())
    for number in (1, 2):
        tracker.prompt_points(state, 0, number, [[40.0 * number, 30.0]], [1])
    tracked = tracker.propagate(state)
    next(tracked)
    tracker.remove_object(state, 1)
    assert next(tracked).object_ids == [2]
    assert tracker.masks_on_frame(state, 0).object_ids == [2]
    with pytest.raises(StateError, match="no object 1"):
        tracker.remove_object(state, 1)


def test_an_object_that_is_not_known_on_a_frame_has_no_mask(predictor: SAM2VideoPredictor) -> None:
    tracker = TiledTracker(predictor, **TILES)
    state = tracker.init_state(stack())
    tracker.prompt_points(state, 0, "cell", CELL, [1])
    nothing = tracker.masks_on_frame(state, 4)["cell"]
    assert (nothing.area, nothing.box) == (0, (0, 0, 0, 0))
    assert np.isnan(nothing.object_score)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({"frame_index": FRAME_COUNT, "points": CELL, "labels": [1]}, "does not exist"),
        ({"frame_index": 0, "points": [[WIDTH + 1.0, 3]], "labels": [1]}, "outside the frame"),
        ({"frame_index": 0, "points": CELL}, "labels is missing"),
        ({"frame_index": 0, "box": [5, 5, 2, 9]}, "inverted"),
        ({"frame_index": 0, "box": [5, 5, 9, 9], "clear_old_points": False}, "clear_old_points=True"),
    ],
)
def test_prompts_that_cannot_be_change_nothing(
    predictor: SAM2VideoPredictor, prompt: dict[str, Any], message: str
) -> None:
    tracker = TiledTracker(predictor, **TILES)
    state = tracker.init_state(stack())
    with pytest.raises(InvalidInputError, match=message):
        tracker.prompt_points(state, prompt.pop("frame_index"), 1, **prompt)
    assert_untouched(state)


@pytest.mark.parametrize(
    ("mask", "origin", "message"),
    [
        (np.zeros((4, 4), bool), (0, 0), "empty"),
        (np.ones((4, 4), bool), (WIDTH - 2, 0), "beyond the plane"),
        (np.ones((4, 4), bool), None, "origin"),
        (np.ones(4, bool), None, "two dimensions"),
    ],
)
def test_masks_that_cannot_be_change_nothing(
    predictor: SAM2VideoPredictor, mask: np.ndarray, origin: tuple[int, int] | None, message: str
) -> None:
    tracker = TiledTracker(predictor, **TILES)
    state = tracker.init_state(stack())
    with pytest.raises(InvalidInputError, match=message):
        tracker.prompt_mask(state, 0, 1, mask, origin=origin)
    assert_untouched(state)


def assert_untouched(state: TiledState) -> None:
    assert state.obj_ids == []
    assert len(state.videos) == 0


def test_propagation_is_refused_at_the_call(predictor: SAM2VideoPredictor) -> None:
    tracker = TiledTracker(predictor, **TILES)
    state = tracker.init_state(stack())
    with pytest.raises(StateError, match="nothing to propagate"):
        tracker.propagate(state)
    tracker.prompt_points(state, 0, 1, CELL, [1])
    with pytest.raises(InvalidInputError, match="cannot be negative"):
        tracker.propagate(state, frame_count=-1)
    with pytest.raises(InvalidTypeError):
        tracker.propagate(state, 0.5)  # type: ignore[arg-type]
    assert list(tracker.propagate(state, 0, 0)) == []
    with pytest.raises(InvalidInputError, match="memory_budget_bytes"):
        TiledTracker(predictor, memory_budget_bytes=-1)


def test_the_callers_gradients_and_modes_are_left_alone(predictor: SAM2VideoPredictor) -> None:
    tracker = TiledTracker(predictor, **TILES)
    state = tracker.init_state(stack())
    tracker.prompt_points(state, 0, 1, CELL, [1])
    for _ in tracker.propagate(state):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
