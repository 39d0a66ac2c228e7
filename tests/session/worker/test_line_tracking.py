"""Tracking along a line from given masks, with a small network."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.session.worker.line_tracking import LineTrack, NetworkTracking, TrackedMask
from sam2_core.volumes import open_volume
from tests.inference.video_scene import HEIGHT, WIDTH, stack
from tests.session.job_scene import predictor


def square(corner: int) -> MaskPixels:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[corner : corner + 20, corner : corner + 20] = True
    return MaskPixels.cut(mask)


def test_how_sure_a_mask_is() -> None:
    assert TrackedMask(MaskPixels.empty(), 0.9, 5.0).sureness == 0.0
    assert TrackedMask(square(0)).sureness == 1.0
    assert TrackedMask(square(0), 0.8, 0.0).sureness == pytest.approx(0.4)


def test_it_is_what_the_predictor_finds_on_those_frames() -> None:
    network, frames = predictor(), [5, 3, 1, 0]
    whole = network.init_state(stack(6))
    tracks = {1: LineTrack({1: square(20)}, (0, 3)), 2: LineTrack({0: square(5)}, (1, 2))}
    found = dict(NetworkTracking(network, whole, lambda: False).track(frames, "t", tracks))
    places = {one: {place for place, masks in found.items() if one in masks} for one in tracks}
    assert places[1] >= {0, 2, 3}
    assert places[2] >= {1, 2}

    alone = network.init_state(stack(6)[frames])
    network.prompt_mask(alone, 1, 1, square(20).paste((HEIGHT, WIDTH)))
    for result in network.propagate(alone, 1, direction="forward"):
        if result.frame_index > 1:
            mask = (result.logits[0, 0] > 0).cpu().numpy()
            assert np.array_equal(found[result.frame_index][1].mask.paste((HEIGHT, WIDTH)), mask)


def test_frames_along_two_axes_are_not_tracked_as_one() -> None:
    network = predictor()
    whole = network.init_state(open_volume(stack(4)[None, ..., 0].repeat(2, axis=0), axes="tzyx").stack("tz"))

    with pytest.raises(InvalidInputError, match="init_line"):
        network.propagate(whole)


def test_features_are_those_of_the_whole_stack() -> None:
    network = predictor()
    whole = network.init_state(stack(3), cached_features=3)
    line = network.init_line(whole, [2, 0], "z")

    assert line.images.stack.axis == "z"
    assert line.features.get(0) is whole.features.get(2)
    line.close(keep_frames_open=True)
    assert whole.features.get(0).maps[0].shape[0] == 1
    assert np.array_equal(line.images.stack.read(1), stack(3)[0])
