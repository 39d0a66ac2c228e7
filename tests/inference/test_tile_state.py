"""Tiles and crops are taken up from their folder as they were, wherever the process ended."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError, InvalidTypeError, StateError
from sam2_core.inference.object_crop_tracker import CropTracker
from sam2_core.inference.tile_tracker import TiledTracker
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from tests.inference.video_scene import small_predictor, stack

FRAMES = 4
MASK = np.ones((12, 14), bool)


@pytest.fixture(scope="module")
def predictor() -> SAM2VideoPredictor:
    return small_predictor()


def trackers() -> list[Callable[[SAM2VideoPredictor], Any]]:
    return [
        lambda predictor: TiledTracker(predictor, tile_size=(60, 56), halo=12, memory_budget_bytes=0),
        lambda predictor: CropTracker(predictor, memory_budget_bytes=0),
    ]


def prompted(tracker: Any, state: Any) -> None:
    tracker.prompt_mask(state, 0, 1, MASK, origin=(40, 20))
    tracker.prompt_points(state, 0, "two", [[12, 40]], [1])
    tracker.prompt_points(state, 2, "two", [[20, 30]], [1])


def pixels(results: Any) -> list[np.ndarray]:
    return [found.masks_in() for found in results]


@pytest.mark.parametrize("make", trackers(), ids=["tiles", "crops"])
def test_a_killed_run_goes_on_to_the_same_masks(
    predictor: SAM2VideoPredictor, make: Callable[[SAM2VideoPredictor], Any], tmp_path: Path
) -> None:
    """What a killed process leaves is its folder at any moment: within frames too."""
    tracker = make(predictor)
    state = tracker.init_state(stack(FRAMES), records=tmp_path / "whole")
    prompted(tracker, state)
    moments, moments_taken = 0, {3, 7, 10}

    def remember() -> bool:
        nonlocal moments
        if moments in moments_taken:
            shutil.copytree(tmp_path / "whole", tmp_path / f"killed-{moments}")
        moments += 1
        return False

    expected = pixels(tracker.propagate(state, resume=True, should_stop=remember))
    state.close()
    assert any(masks.any() for masks in expected[1:])
    killed = sorted(tmp_path.glob("killed-*"))
    assert len(killed) == len(moments_taken)
    for folder in killed:
        state = tracker.init_state(stack(FRAMES), records=folder)
        assert state.obj_ids == [1, "two"]
        found = pixels(tracker.propagate(state, resume=True))
        state.close()

        assert len(found) == FRAMES
        assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True)), folder.name


@pytest.mark.parametrize("make", trackers(), ids=["tiles", "crops"])
def test_what_is_done_is_not_computed_again(
    predictor: SAM2VideoPredictor,
    make: Callable[[SAM2VideoPredictor], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tracker = make(predictor)
    state = tracker.init_state(stack(3), records=tmp_path)
    tracker.prompt_mask(state, 0, 1, MASK, origin=(40, 20))
    first = pixels(tracker.propagate(state, resume=True))
    state.close()
    state = tracker.init_state(stack(3), records=tmp_path)
    monkeypatch.setattr(predictor, "propagate", None)
    again = pixels(tracker.propagate(state, resume=True))
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert [found.frame_index for found in tracker.propagate(state, resume=True, already={0, 2})] == [1]
    with pytest.raises(TypeError, match="not callable"):
        list(tracker.propagate(state))
    monkeypatch.undo()
    tracker.prompt_mask(state, 0, 1, MASK, origin=(10, 30))
    (anew, *_) = tracker.propagate(state, resume=True)
    assert not np.array_equal(anew.masks_in(), first[0]), "a prompt that changed begins it anew"
    state.close()


def test_folders_of_something_else_are_refused(predictor: SAM2VideoPredictor, tmp_path: Path) -> None:
    tiled, crops = (make(predictor) for make in trackers())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(InvalidInputError, match="other things"):
        tiled.init_state(stack(2), records=tmp_path / "other")
    with pytest.raises(InvalidInputError, match="is a file"):
        tiled.init_state(stack(2), records=tmp_path / "other" / "letter.txt")
    state = tiled.init_state(stack(2), records=tmp_path / "known")
    with pytest.raises(StateError, match="cannot be opened"):
        tiled.init_state(stack(2), records=tmp_path / "known")
    with pytest.raises(InvalidTypeError, match="integer or text"):
        tiled.prompt_mask(state, 0, (1, 2), MASK, origin=(40, 20))
    state.close()
    for tracker, frames, difference in [(crops, 2, "TiledState"), (tiled, 3, "'frames': 2")]:
        with pytest.raises(StateError, match=difference):
            tracker.init_state(stack(frames), records=tmp_path / "known")


def test_removed_objects_stay_removed(predictor: SAM2VideoPredictor, tmp_path: Path) -> None:
    tracker = TiledTracker(predictor, tile_size=48, halo=12)
    state = tracker.init_state(stack(2), records=tmp_path)
    prompted_ids = [1, 2]
    for object_id in prompted_ids:
        tracker.prompt_mask(state, 0, object_id, MASK, origin=(40, 20))
    before = tracker.masks_on_frame(state, 0)[2]
    tracker.remove_object(state, 1)
    state.close()
    state = tracker.init_state(stack(2), records=tmp_path)

    assert state.obj_ids == [2]
    assert tracker.masks_on_frame(state, 0)[2].iou(before) == 1
    assert state.new_number() == 3, "numbers are not given twice"
    state.close()
