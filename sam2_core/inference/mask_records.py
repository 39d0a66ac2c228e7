"""Masks of a whole image as the records that "segment everything" returns."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, TypedDict

from sam2_core.inference.crops import box_xyxy_to_xywh
from sam2_core.inference.mask_data import MaskData
from sam2_core.inference.run_length import area_from_rle, coco_encode_rle, rle_to_mask

OutputMode: TypeAlias = Literal["binary_mask", "uncompressed_rle", "coco_rle"]


class MaskRecord(TypedDict):
    """One mask; boxes are x, y, width, height in pixels. The official record, and the object score."""

    segmentation: Any
    area: int
    bbox: list[float]
    predicted_iou: float
    object_score: float
    point_coords: list[list[float]]
    stability_score: float
    crop_box: list[float]


def mask_records(data: MaskData, output_mode: OutputMode) -> list[MaskRecord]:
    """Write masks as records.

    Parameters
    ----------
    data : MaskData
        With columns rles (counts as arrays), boxes, iou_preds, object_scores, points, stability_score and crop_boxes.
    output_mode : {"binary_mask", "uncompressed_rle", "coco_rle"}
        The form of each segmentation.

    Returns
    -------
    list of MaskRecord
        In the order of `data`.
    """
    names = ("boxes", "iou_preds", "object_scores", "points", "stability_score", "crop_boxes")
    columns = [data[name].float() for name in names]
    rows = zip(data["rles"], *(column.cpu() for column in columns), strict=True)
    return [
        MaskRecord(
            segmentation=_segmentation(rle, output_mode),
            area=area_from_rle(rle),
            bbox=box_xyxy_to_xywh(box).tolist(),
            predicted_iou=predicted_iou.item(),
            object_score=object_score.item(),
            point_coords=[point.tolist()],
            stability_score=stability.item(),
            crop_box=box_xyxy_to_xywh(crop_box).tolist(),
        )
        for rle, box, predicted_iou, object_score, point, stability, crop_box in rows
    ]


def _segmentation(rle: dict[str, Any], output_mode: OutputMode) -> Any:
    if output_mode == "binary_mask":
        return rle_to_mask(rle)
    plain = {"size": rle["size"], "counts": rle["counts"].tolist()}
    return coco_encode_rle(plain) if output_mode == "coco_rle" else plain
