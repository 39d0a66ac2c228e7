"""What tiles and crops have in common: objects that have ended are not looked for again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError
from sam2_core.inference.object_crop_tracker import CropTracker
from sam2_core.inference.plane_object import PlaneObject
from sam2_core.inference.tile_masks import ObjectMask
from sam2_core.inference.tile_tracker import TiledTracker
from sam2_core.volumes import open_volume
from tests.inference.video_scene import small_predictor

FRAMES = np.random.default_rng(0).integers(0, 255, (12, 40, 60)).astype(np.uint8)
MASK = np.zeros((40, 60), np.bool_)
MASK[10:20, 12:24] = True


@pytest.fixture(params=[TiledTracker, CropTracker])
def tracker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A tracker that finds nothing on any frame but the prompted ones; `looked` lists where it looked."""
    made = request.param(small_predictor())
    made.looked = []

    def find_nothing(
        state: Any, place: int, objects: Sequence[PlaneObject], frame_index: int, previous: int, reverse: bool
    ) -> Iterator[tuple[PlaneObject, ObjectMask]]:
        made.looked.append(frame_index)
        for tracked in objects:
            pixels = MASK if tracked.prompted_on(frame_index) else np.zeros_like(MASK)
            yield tracked, ObjectMask.from_pixels(tracked.object_id, pixels, (0, 0), 0.5, 1.0)

    monkeypatch.setattr(made, "_tracked_in_place", find_nothing)
    return made


def looked_at(tracker: Any, state: Any, *where: int, **options: Any) -> tuple[list[int], list[int]]:
    """The frames that are looked at, and those that are handed out."""
    tracker.looked.clear()
    frames = [masks.frame_index for masks in tracker.propagate(state, *where, **options)]
    return tracker.looked[:], frames


def test_an_object_is_given_up_along_z_until_its_next_prompt(tracker: Any) -> None:
    state = tracker.init_state(open_volume(FRAMES, axes="zyx").stack())
    tracker.prompt_mask(state, 2, 1, MASK)
    assert looked_at(tracker, state, 2) == ([2, 3, 4, 5], list(range(2, 12)))
    assert not tracker.masks_on_frame(state, 8)[1].mask.any()
    # what was given up stays so where another object joins later
    assert looked_at(tracker, state, 8) == ([], [8, 9, 10, 11])
    assert looked_at(tracker, state, 4, 3, stop_when_empty=None) == ([4, 5, 6], [4, 5, 6])
    tracker.prompt_mask(state, 8, 1, MASK)
    assert looked_at(tracker, state, 2) == ([2, 3, 4, 5, 8, 9, 10, 11], list(range(2, 12)))
    # backward from the second prompt: to 7, 6 and 5, and from the first one on again
    assert looked_at(tracker, state, 8, reverse=True)[0] == [8, 7, 6, 5, 2, 1, 0]
    state.close()


def test_along_t_an_object_may_come_back(tracker: Any) -> None:
    state = tracker.init_state(open_volume(FRAMES, axes="tyx").stack())
    tracker.prompt_mask(state, 0, 1, MASK)
    assert looked_at(tracker, state, 0) == (list(range(12)), list(range(12)))
    with pytest.raises(InvalidInputError, match="at least 1"):
        tracker.propagate(state, 0, stop_when_empty=0)
    state.close()


def test_an_answer_is_of_all_objects_or_of_one(tracker: Any) -> None:
    state = tracker.init_state(open_volume(FRAMES, axes="zyx").stack())
    tracker.prompt_mask(state, 2, 1, MASK)
    assert tracker.prompt_mask(state, 2, 2, MASK, others=False).object_ids == [2]
    assert tracker.prompt_mask(state, 2, 3, MASK).object_ids == [1, 2, 3]
    alone = tracker.prompt_points(state, 2, 2, [[18, 15]], [1], others=False)
    assert alone.object_ids == [2]
    both = tracker.masks_on_frame(state, 2)
    assert both.object_ids == [1, 2, 3]
    assert alone[2].box == both[2].box
    state.close()
