from __future__ import annotations

import numpy as np
import pytest

from sam2_core.cli.overlay import (
    OverlayFrame,
    draw_frame,
    draw_montage,
    montage_frames,
    object_colour,
)
from sam2_core.cli.prompts import FramePrompt


def square(size=(100, 120)):
    labels = np.zeros(size, np.uint16)
    labels[30:60, 40:80] = 3
    return np.full((*size, 3), 50, np.uint8), labels


def test_objects_are_tinted_and_outlined_and_the_rest_is_left_alone():
    picture, labels = square((640, 700))
    drawn = draw_frame(OverlayFrame(picture, labels))
    assert drawn.shape == picture.shape
    assert tuple(drawn[30, 60]) == object_colour(3)
    expected = 0.65 * 50 + 0.35 * np.array(object_colour(3))
    assert np.abs(drawn[45, 60] - expected).max() <= 1
    assert (drawn[100:] == 50).all()


def test_small_pictures_are_enlarged_by_whole_factors_and_large_ones_reduced():
    assert draw_frame(OverlayFrame(*square((60, 57)))).shape == (660, 627, 3)
    assert max(draw_frame(OverlayFrame(*square((4000, 1000)))).shape) == 1600
    assert draw_frame(OverlayFrame(*square((1000, 900)))).shape == (1000, 900, 3)


def test_prompts_are_drawn_where_they_were_given():
    picture, labels = square((640, 640))
    prompt = FramePrompt(points=[(300.0, 200.0), (400.0, 500.0)], labels=[1, 0], box=(100.0, 100.0, 200.0, 150.0))
    drawn = draw_frame(OverlayFrame(picture, labels, [(3, prompt)])).astype(int)
    assert drawn[203, 301, 1] > 200 > drawn[203, 301, 0]
    assert drawn[503, 401, 0] > 200 > drawn[503, 401, 1]
    assert tuple(drawn[100, 150]) == object_colour(3)


def test_the_largest_piece_has_the_number_also_where_it_hangs_together_at_corners_only():
    labels = np.zeros((640, 640), np.uint16)
    labels[520:540, 60:80] = 1  # 400 pixels
    steps = np.arange(100, 600)
    labels[steps, steps] = 1  # 500 pixels
    drawn = draw_frame(OverlayFrame(np.full((640, 640, 3), 50, np.uint8), labels))
    written = (drawn > 200).all(axis=2)
    assert written[80:100, 90:115].any()
    assert not written[110:].any()


def test_nothing_found_is_the_picture():
    picture = np.random.default_rng(0).integers(0, 255, (700, 700, 3)).astype(np.uint8)
    assert np.array_equal(draw_frame(OverlayFrame(picture, np.zeros((700, 700), np.uint16))), picture)


def test_colours_of_neighbouring_ids_differ():
    colours = np.array([object_colour(object_id) for object_id in range(1, 65)]).astype(int)
    assert np.abs(np.diff(colours, axis=0)).max(axis=1).min() > 60


@pytest.mark.parametrize(("count", "shape"), [(1, (61, 57)), (5, (61, 57)), (12, (264, 542)), (7, (900, 300))])
def test_montages_hold_every_frame(count, shape):
    sheet = draw_montage([OverlayFrame(*square(shape), caption=f"z {index}") for index in range(count)])
    assert sheet.dtype == np.uint8
    assert max(sheet.shape) < 2600


def test_which_frames_are_shown():
    assert montage_frames(5, [2]) == [0, 1, 2, 3, 4]
    chosen = montage_frames(100, [50, 51])
    assert len(chosen) == 12
    assert {50, 51} <= set(chosen)
    assert min(chosen) < 10
    assert max(chosen) > 90
    assert len(montage_frames(1000, list(range(500)))) == 12
