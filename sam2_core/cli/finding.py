"""Finding everything in one picture: which of the generator's masks are kept, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.cli.console import messages
from sam2_core.cli.prompts.mask_crop import MaskCrop
from sam2_core.volumes.labels import MAX_LABEL

if TYPE_CHECKING:
    from sam2_core.model.sam2_base import SAM2Base


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
    """

    object_id: int
    mask: MaskCrop
    area: int
    predicted_iou: float


def find_everything(model: SAM2Base, picture: NDArray[np.uint8], thresholds: Thresholds) -> list[FoundObject]:
    """Segment everything in a picture.

    Parameters
    ----------
    model : SAM2Base
    picture : ndarray, (y, x, 3) uint8 RGB
    thresholds : Thresholds

    Returns
    -------
    list of FoundObject
        By falling area, and by falling predicted IoU where that is the same; masks may overlap.
    """
    from sam2_core.inference.mask_generator import SAM2AutomaticMaskGenerator

    generator = SAM2AutomaticMaskGenerator(
        model,
        points_per_side=thresholds.points_per_side,
        pred_iou_thresh=thresholds.min_iou,
        stability_score_thresh=thresholds.min_stability,
        min_mask_region_area=thresholds.min_area,
    )
    with messages.status("Looking everywhere …"):
        records = generator.generate(np.array(picture))
    limit = thresholds.max_area * picture.shape[0] * picture.shape[1]
    kept = [record for record in records if max(1, thresholds.min_area) <= record["area"] <= limit]
    kept.sort(key=lambda record: (-record["area"], -record["predicted_iou"]))
    return [_found(number, record) for number, record in enumerate(kept[:MAX_LABEL], start=1)]


def _found(number: int, record: Mapping[str, Any]) -> FoundObject:
    mask = MaskCrop.of(np.asarray(record["segmentation"], dtype=bool))
    return FoundObject(number, mask, int(record["area"]), float(record["predicted_iou"]))
