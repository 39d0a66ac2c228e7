from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco

from sam2_core.inference.mask_data import MaskData
from sam2_core.inference.mask_records import OutputMode, mask_records

MASKS = np.random.default_rng(0).random((3, 7, 5)) < 0.5
MASKS[1] = False


def table() -> MaskData:
    """Three masks, of which one is empty, as the generator hands them over."""
    changes = [np.flatnonzero(np.diff(mask.ravel(order="F"), prepend=False, append=~mask[-1, -1])) for mask in MASKS]
    return MaskData(
        rles=[{"size": [7, 5], "counts": np.diff(ends, prepend=0)} for ends in changes],
        boxes=torch.tensor([[0, 1, 4, 6], [0, 0, 0, 0], [1, 1, 2, 3]]),
        iou_preds=torch.tensor([0.5, 0.25, 1.0], dtype=torch.bfloat16),
        object_scores=torch.tensor([4.0, -1.5, 0.0], dtype=torch.bfloat16),
        points=torch.tensor([[1.5, 2.0], [0.0, 0.0], [3.0, 6.5]]),
        stability_score=torch.tensor([0.75, 0.0, 1.0]),
        crop_boxes=torch.tensor([[0, 0, 5, 7]] * 3),
    )


def decoded(segmentation: Any, mode: OutputMode) -> np.ndarray:
    """A segmentation as COCO's own tools read it."""
    if mode == "binary_mask":
        return segmentation
    if mode == "uncompressed_rle":
        segmentation = coco.frPyObjects(segmentation, *segmentation["size"])
    return coco.decode(segmentation).astype(bool)


@pytest.mark.parametrize("mode", ["binary_mask", "uncompressed_rle", "coco_rle"])
def test_every_mode_holds_the_mask(mode: OutputMode) -> None:
    records = mask_records(table(), mode)

    assert len(records) == 3
    for record, mask in zip(records, MASKS, strict=True):
        assert np.array_equal(decoded(record["segmentation"], mode), mask)
        assert record["area"] == mask.sum()
    assert records[0]["bbox"] == [0, 1, 4, 5]
    assert records[2]["point_coords"] == [[3.0, 6.5]]
    assert [record["predicted_iou"] for record in records] == [0.5, 0.25, 1.0]
    assert [record["object_score"] for record in records] == [4.0, -1.5, 0.0]
    assert [record["stability_score"] for record in records] == [0.75, 0.0, 1.0]
    assert all(record["crop_box"] == [0, 0, 5, 7] for record in records)


def test_no_masks_no_records() -> None:
    data = table()
    data.filter(torch.zeros(3, dtype=torch.bool))

    assert mask_records(data, "binary_mask") == []
