"""Finding everything on one frame: which of the generator's masks are kept, and in which order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sam2_core.checkpoints.catalogue import everything_thresholds
from sam2_core.cli.console import messages, with_progress
from sam2_core.cli.prompts.mask_crop import MaskCrop
from sam2_core.cli.segmentation import frame_features
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.labels import MAX_LABEL

if TYPE_CHECKING:
    from sam2_core.inference.video_predictor import SAM2VideoPredictor
    from sam2_core.volumes.embedding_store import EmbeddingStore


@dataclass(frozen=True)
class Thresholds:
    """What is looked for, and what is good enough.

    Attributes
    ----------
    points_per_side : int
        Clicks tried along each side of the picture.
    min_iou, min_stability : float
        Least predicted IoU and stability, 0 to 1.
    min_area : int
        Least number of pixels; smaller holes are filled.
    max_area : float
        Greatest part of the picture, 0 to 1.
    """

    points_per_side: int = 32
    min_iou: float = 0.7
    min_stability: float = 0.85
    min_area: int = 0
    max_area: float = 0.5

    @classmethod
    def for_model(
        cls,
        checkpoint: str,
        points_per_side: int,
        min_iou: float | None,
        min_stability: float | None,
        min_area: int,
        max_area: float,
    ) -> Self:
        """What was asked for, and where nothing was what suits the model; those of a small model are less sure."""
        known = everything_thresholds(checkpoint)
        iou, stability = (
            next(one for one in choices if one is not None)
            for choices in (
                (min_iou, known.get("pred_iou_thresh"), cls.min_iou),
                (min_stability, known.get("stability_score_thresh"), cls.min_stability),
            )
        )
        return cls(points_per_side, iou, stability, min_area, max_area)


@dataclass(frozen=True)
class FoundObject:
    """One object that was found.

    Attributes
    ----------
    object_id : int
        From 1, the largest first.
    mask : MaskCrop
    area : int
        Pixels of the mask.
    predicted_iou : float
        IoU the model expects of it.
    object_score : float
        Logit, above 0 where the model sees an object.
    """

    object_id: int
    mask: MaskCrop
    area: int
    predicted_iou: float
    object_score: float


def find_everything(
    model: SAM2VideoPredictor,
    stack: FrameStack,
    index: int,
    thresholds: Thresholds,
    store: EmbeddingStore | None = None,
) -> list[FoundObject]:
    """Segment everything on one frame of any size.

    A plane that the model sees well is looked at as a whole, a larger one tile by tile.

    Parameters
    ----------
    model : SAM2VideoPredictor
    stack : FrameStack
    index : int
        Which frame.
    thresholds : Thresholds
    store : EmbeddingStore, optional
        Where the features of the frame, or of its tiles, are looked for and kept.

    Returns
    -------
    list of FoundObject
        By falling area, and by falling predicted IoU where that is the same; masks may overlap.
    """
    from sam2_core.inference.tile_grid import TileGrid

    height, width = stack.frame_size
    options = {
        "points_per_side": thresholds.points_per_side,
        "pred_iou_thresh": thresholds.min_iou,
        "stability_score_thresh": thresholds.min_stability,
        "min_mask_region_area": thresholds.min_area,
    }
    if len(TileGrid.for_model(stack.frame_size, model.input_size)) == 1:
        found = _in_whole(model, stack, index, options, store)
    else:
        found = _in_tiles(model, stack, index, options, store)
    limit = thresholds.max_area * height * width
    kept = [one for one in found if max(1, thresholds.min_area) <= one.area <= limit]
    kept.sort(key=lambda one: (-one.area, -one.predicted_iou))
    return [replace(one, object_id=number) for number, one in enumerate(kept[:MAX_LABEL], start=1)]


def _in_whole(
    model: SAM2VideoPredictor, stack: FrameStack, index: int, options: dict[str, Any], store: EmbeddingStore | None
) -> list[FoundObject]:
    from sam2_core.inference.mask_generator import SAM2AutomaticMaskGenerator

    with messages.status("Looking everywhere …"):
        features = frame_features(model, stack, index, store)
        records = SAM2AutomaticMaskGenerator(model, **options).generate(np.array(stack.read(index)), features=features)
    return [
        FoundObject(
            0,
            MaskCrop.of(np.asarray(record["segmentation"], dtype=bool)),
            int(record["area"]),
            record["predicted_iou"],
            record["object_score"],
        )
        for record in records
        if record["area"]
    ]


def _in_tiles(
    model: SAM2VideoPredictor, stack: FrameStack, index: int, options: dict[str, Any], store: EmbeddingStore | None
) -> list[FoundObject]:
    from sam2_core.inference.tile_everything import TiledMaskGenerator
    from sam2_core.inference.tile_grid import TileGrid
    from sam2_core.inference.tile_tracker import TiledTracker

    generator = TiledMaskGenerator(TiledTracker(model), **options)
    tile_count = len(TileGrid.for_model(stack.frame_size, model.input_size))
    found = generator.generate(stack, index, embedding_store=store)
    tiles = with_progress(found, "Looking everywhere, in tiles", tile_count)
    return [
        FoundObject(
            0,
            MaskCrop.of(one.mask, one.window.top, one.window.left, stack.frame_size),
            one.area,
            one.predicted_iou,
            one.object_score,
        )
        for tile in tiles
        for one in tile.objects
        if one.area
    ]
