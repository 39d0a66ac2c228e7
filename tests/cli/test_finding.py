"""Which of the masks found everywhere are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

from sam2_core import load_model, open_volume
from sam2_core.checkpoints.catalogue import get_entry
from sam2_core.cli.finding import Thresholds, find_everything
from tests.volumes.counting_store import CountingStore


def thresholds(checkpoint: str, iou: float | None, stability: float | None) -> tuple[float, float]:
    found = Thresholds.for_model(checkpoint, 32, iou, stability, 0, 0.5)
    return found.min_iou, found.min_stability


def test_a_model_may_say_what_suits_it() -> None:
    micro = get_entry("sam2.1_hiera_micro")
    assert thresholds("sam2.1_hiera_micro", None, None) == (micro.min_iou, micro.min_stability)
    assert micro.min_iou is not None
    assert micro.min_iou < Thresholds.min_iou


@pytest.mark.parametrize("checkpoint", ["sam2.1_hiera_tiny", "somewhere/weights.pt"])
def test_others_take_the_usual_ones(checkpoint: str) -> None:
    assert thresholds(checkpoint, None, None) == (Thresholds.min_iou, Thresholds.min_stability)


def test_what_is_asked_for_counts_also_where_it_is_nothing() -> None:
    assert thresholds("sam2.1_hiera_micro", 0.0, 0.9) == (0.0, 0.9)


@pytest.mark.parametrize("side", [60, 120], ids=["whole", "tiles"])
def test_a_frame_is_read_once_for_its_features_and_its_masks(side: int, tmp_path: Path, untrained: Path) -> None:
    store = CountingStore(tmp_path / "plane.zarr")
    array = zarr.create_array(store, shape=(2, side, side), chunks=(1, 20, 20), dtype="uint8")
    array[:] = np.random.default_rng(0).integers(0, 255, array.shape)
    model = load_model(
        str(untrained), device="cpu", overrides=["++model._target_=sam2.sam2_video_predictor.SAM2VideoPredictor"]
    )
    with open_volume(array, axes="zyx") as volume:
        store.forget()
        find_everything(model, volume.stack("z"), 1, Thresholds(2, 0.0, 0.0, 0, 1.0))
    assert set(store.reads.values()) == {1}
    # of the frame beside it, windows may be read ahead
    assert len([key for key in store.reads if key.startswith("c/1/")]) == (side // 20) ** 2
