"""Parts of a plane close and open as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sam2_core.inference.open_videos import OpenVideos
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.frames import open_frames
from tests.inference.video_scene import small_predictor, stack


@pytest.fixture(scope="module")
def predictor() -> SAM2VideoPredictor:
    return small_predictor()


def frames_of(place: int) -> FrameStack:
    return open_frames(stack(2, seed=place))


def test_what_a_closed_place_knew_is_there_again(predictor: SAM2VideoPredictor) -> None:
    videos = OpenVideos(predictor, frames_of, 0)
    assert not videos.knows(3)
    asked = predictor.prompt_points(videos.open(3), 0, 1, [[20, 30]], [1])
    videos.open(4)
    assert list(videos) == [4]
    assert videos.knows(3)
    back = videos.open(3)

    assert back.obj_ids == [1]
    assert torch.equal(predictor.masks_on_frame(back, 0).low_res_logits, asked.low_res_logits)
    folder = videos._folder
    assert folder is not None
    videos.close()
    assert not folder.exists(), "without a folder of its own nothing is left"


def test_what_came_after_the_sizes_were_noted_does_not_count(predictor: SAM2VideoPredictor, tmp_path: Path) -> None:
    videos = OpenVideos(predictor, frames_of, 2**30, tmp_path)
    predictor.prompt_points(videos.open(0), 0, 1, [[20, 30]], [1])
    sizes = videos.sizes()
    assert list(sizes) == [0]
    predictor.prompt_points(videos.open(0), 0, 2, [[50, 30]], [1])
    predictor.prompt_points(videos.open(1), 0, 3, [[20, 30]], [1])
    videos.close()
    later = OpenVideos(predictor, frames_of, 2**30, tmp_path, sizes)

    assert later.open(0).obj_ids == [1]
    assert later.open(1).obj_ids == [], "a place that was not noted begins anew"
    later.close()
