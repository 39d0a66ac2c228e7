"""How a session looks at frames: by itself as suits their size, and as it is told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from sam2_core.inference.mask_generator import SAM2AutomaticMaskGenerator
from sam2_core.inference.tile_everything import TiledMaskGenerator
from sam2_core.inference.tile_tracker import TiledTracker
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.volumes.frames import open_frames
from tests.inference.video_scene import small_predictor
from tests.session.job_scene import PATIENCE, predictor

SIDE = 4 * max(predictor().input_size)


def over(size: tuple[int, int], **options: Any) -> AnnotationSession:
    frames = np.full((2, *size, 3), 40, np.uint8)
    frames[:, 20:40, 30:50] = 200
    return AnnotationSession.create(open_frames(frames), **options)


@pytest.fixture
def large() -> Iterator[AnnotationSession]:
    with over((SIDE + 8, 64), model=predictor()) as session:
        yield session


def test_large_planes_are_looked_at_in_crops_and_that_is_said(
    large: AnnotationSession, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert large.preset == "crops"
        assert large.preset == "crops"
    (record,) = caplog.records
    assert f"64 x {SIDE + 8} pixels" in record.getMessage()
    assert 'session.preset = "exact"' in record.getMessage()

    one = large.add_object()
    large.add_points(one.id, 0, (40, 30))
    large.segment(one.id, 0)
    large.start_propagate().wait(PATIENCE)
    assert large.history[-1].label == "track an object in crops"


def test_what_was_told_holds(large: AnnotationSession) -> None:
    heard: list[str] = []
    large.preset_changed.connect(heard.append)
    large.preset = "crops"
    large.preset = "exact"
    assert (large.preset, heard) == ("exact", ["exact"])


def test_whole_frames_where_cells_are_seen_or_nothing_can_be_segmented() -> None:
    joint = small_predictor("sam2.sam2_video_predictor.SAM2VideoPredictor", joint_objects=True)
    for size, model in (((SIDE, 64), predictor()), ((SIDE + 8, 64), None), ((SIDE + 8, 64), joint)):
        with over(size, model=model) as session:
            assert session.preset == "exact"


@pytest.mark.parametrize(
    ("model", "side", "expected"),
    [("sam2.1_hiera_micro", 1100, "crops"), ("sam2.1_hiera_micro", 1024, "exact"), ("no-such.pt", 1100, "exact")],
)
def test_by_the_name_of_a_model(model: str, side: int, expected: str) -> None:
    with over((64, side), model=model, worker="process") as session:
        assert session.preset == expected


def test_candidates_are_looked_for_tile_by_tile(large: AnnotationSession) -> None:
    options = {"points_per_side": 2, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.0}
    expected = list(TiledMaskGenerator(TiledTracker(predictor()), **options).candidates(large.stack, 1))
    found = large.start_candidates(1, **options).wait(PATIENCE)
    assert len(found) == len(expected)
    assert len({one.crop for one in expected}) > 1
    for number, one in enumerate(expected):
        assert tuple(found.crop_boxes[number]) == one.crop.box
        mask = found.mask(number)
        assert mask.box == one.found.box
        np.testing.assert_array_equal(mask.inside, one.found.mask)
        assert (found.predicted_ious[number], found.stability_scores[number]) == (
            one.found.predicted_iou,
            one.stability_score,
        )
    whole = SAM2AutomaticMaskGenerator(predictor(), **options).candidates(large.stack.read(1))
    assert len(whole["rles"]) < len(found)
    ids = large.add_candidates(found)
    assert 1 < len(ids) < len(found)


def test_everything_is_searched_tile_by_tile(large: AnnotationSession) -> None:
    options = {"points_per_side": 2, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.0}
    generator = TiledMaskGenerator(TiledTracker(predictor()), **options)
    expected = [one for tile in generator.generate(large.stack, 1) for one in tile.objects]
    assert expected

    found = large.start_everything(1, **options).wait(PATIENCE)
    assert len(found) == len(expected)
    for object_id, one in zip(found, expected, strict=True):
        mask = np.zeros(large.frame_size, bool)
        mask[one.window.rows, one.window.columns] = one.mask
        assert np.array_equal(large.mask(object_id, 1), mask)
