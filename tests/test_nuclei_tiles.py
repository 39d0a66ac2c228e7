"""The shipped checkpoint on real nuclei: from one click each, and in half precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam2_core.checkpoints.build import load_model
from sam2_core.checkpoints.catalogue import get_entry
from sam2_core.errors import MissingFileError
from sam2_core.inference.image_predictor import SAM2ImagePredictor
from tests.real_nuclei import NucleiTile, iou, nuclei_tiles

SHIPPED = "sam2.1_hiera_micro"
# What the shipped checkpoint must reach at least: mean IoU over all nuclei of the four tiles. Raise it with a better
# checkpoint: the target is 0.75.
FLOOR = 0.66
# IoU of bf16 masks with fp32 masks.
NARROW_FLOOR = 0.98


def predictor(precision: str) -> SAM2ImagePredictor:
    """The shipped checkpoint on the CPU."""
    assert get_entry(SHIPPED)
    try:
        return SAM2ImagePredictor(load_model(SHIPPED, device="cpu", precision=precision))
    except MissingFileError as error:  # a working tree from before the checkpoint was trained
        pytest.skip(f"needs the shipped checkpoint: {error}")


def segment(model: SAM2ImagePredictor, tile: NucleiTile, count: int | None = None) -> np.ndarray:
    """(N, y, x) bool: for each click the candidate with the highest predicted IoU."""
    clicks = tile.clicks[:count]
    model.set_image(tile.picture)
    masks, scores, _ = model.predict(clicks[:, None], np.ones((len(clicks), 1), np.int32))
    masks = np.reshape(masks, (len(clicks), -1, *masks.shape[-2:])) > 0
    best = np.reshape(scores, (len(clicks), -1)).argmax(1)
    return np.asarray(masks[np.arange(len(clicks)), best])


def test_one_click_on_each_nucleus(repository: Path, record_property: Any) -> None:
    tiles = nuclei_tiles(repository)
    model = predictor("fp32")

    found = [[iou(mask, truth) for mask, truth in zip(segment(model, tile), tile.truth, strict=True)] for tile in tiles]

    every = np.concatenate(found)
    report = (
        f"{SHIPPED}, one click on each of {len(every)} real nuclei: mean IoU {every.mean():.3f}, median "
        f"{np.median(every):.3f}, above 0.5: {(every > 0.5).mean():.0%}; "
        f"tiles {', '.join(f'{np.mean(tile):.3f}' for tile in found)}"
    )
    print(report)
    record_property("nuclei_mean_iou", round(float(every.mean()), 4))
    assert every.mean() >= FLOOR, report


def test_bf16_masks_are_the_fp32_masks(repository: Path) -> None:
    tile = nuclei_tiles(repository)[0]

    exact, narrow = (segment(predictor(precision), tile, count=12) for precision in ("fp32", "bf16"))

    agreement = [iou(one, other) for one, other in zip(exact, narrow, strict=True)]
    assert np.mean(agreement) >= NARROW_FLOOR, f"IoU of bf16 with fp32 masks: {np.round(agreement, 3)}"
