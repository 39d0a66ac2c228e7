"""Segment everything over tiles: each object once, whole, and no tile looked at in vain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from sam2_core.errors import InvalidInputError
from sam2_core.inference.mask_generator import GenerationCancelledError
from sam2_core.inference.run_length import mask_to_rle_pytorch
from sam2_core.inference.tile_everything import TiledMaskGenerator, TileObjects
from sam2_core.inference.tile_grid import Window
from sam2_core.inference.tile_masks import ObjectMask
from sam2_core.inference.tile_tracker import TiledTracker
from tests.inference.plane_scene import cells, iou, trained

SIZE = (256, 440)
# the third lies across the border between the tiles, and beyond what the first tile sees
CENTRES = [(60.0, 60.0), (60.0, 190.0), (222.0, 128.0), (385.0, 128.0)]
OPTIONS = {"points_per_side": 4, "pred_iou_thresh": 0.3, "stability_score_thresh": 0.5}


class Threshold:
    """A generator that finds what is bright, so that only the tiles can be wrong."""

    def __init__(self) -> None:
        self.seen = 0

    def generate(self, pixels: np.ndarray, **_: Any) -> list[dict[str, Any]]:
        self.seen += 1
        pieces, count = ndimage.label(ndimage.gaussian_filter(pixels[..., 0].astype(float), 1) > 115)
        masks = torch.from_numpy(np.stack([pieces == number for number in range(1, count + 1)]))
        return [{"segmentation": rle, "predicted_iou": 0.9, "object_score": 3.0} for rle in mask_to_rle_pytorch(masks)]


def generator(**options: Any) -> TiledMaskGenerator:
    return TiledMaskGenerator(TiledTracker(trained(), tile_size=256, halo=30), **{**OPTIONS, **options})


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    return cells(CENTRES, 26, SIZE)


@pytest.fixture(scope="module")
def tiles(drawn: tuple[np.ndarray, np.ndarray]) -> list[TileObjects]:
    made = generator()
    made._generator = Threshold()  # type: ignore[assignment]
    return list(made.generate(drawn[0][None]))


def test_each_cell_is_found_once_and_whole(drawn: tuple[np.ndarray, np.ndarray], tiles: list[TileObjects]) -> None:
    objects = [found for tile in tiles for found in tile.objects]
    assert [found.object_id for found in objects] == [1, 2, 3, 4]
    masks = [found.pixels_in(Window(0, 0, *SIZE)) for found in objects]
    for cell in drawn[1]:
        assert sum(iou(mask, cell) > 0.85 for mask in masks) == 1, [iou(mask, cell) for mask in masks]


def test_what_the_model_finds_is_not_found_twice(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    objects = [found for tile in generator().generate(drawn[0][None]) for found in tile.objects]
    assert objects
    assert all(0.3 < found.predicted_iou <= 1 for found in objects)
    assert all(np.isfinite(found.object_score) for found in objects)
    ious = [one.iou(other) for number, one in enumerate(objects) for other in objects[:number]]
    assert max(ious, default=0.0) < 0.7
    # how well depends on the checkpoint; that they are cells, not ground, does not
    assert max(drawn[1].any(axis=0)[found.window.rows, found.window.columns].mean() for found in objects) > 0.5


def test_a_tile_has_the_objects_whose_middle_lies_in_its_core(tiles: list[TileObjects]) -> None:
    assert [tile.tile.index for tile in tiles] == [0, 1]
    for tile in tiles:
        core = tile.tile.core.grown(30)
        assert all(found.centroid in core for found in tile.objects)


def test_a_part_of_the_plane(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    reports = []
    part = Window(100, 0, 256, 100)
    made = generator()
    made._generator = threshold = Threshold()  # type: ignore[assignment]
    (tile,) = made.generate(drawn[0][None], within=part, progress=lambda *done: reports.append(done))
    (found,) = tile.objects
    assert found.iou(ObjectMask.from_pixels(0, drawn[1][1])) > 0.85
    assert (reports, threshold.seen) == ([(1, 1)], 1)


def test_it_can_be_cancelled(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(GenerationCancelledError):
        next(generator().generate(drawn[0][None], cancelled=lambda: True))


def test_what_cannot_be_is_refused_at_the_call(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(InvalidInputError, match="does not exist"):
        generator().generate(drawn[0][None], 1)
    with pytest.raises(InvalidInputError, match="show nothing"):
        generator().generate(drawn[0][None], within=Window(300, 0, 400, 100))
    with pytest.raises(InvalidInputError, match="duplicate_iou"):
        generator(duplicate_iou=2)
    with pytest.raises(InvalidInputError, match="output_mode"):
        generator(output_mode="coco_rle")
