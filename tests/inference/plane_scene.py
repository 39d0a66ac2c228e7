"""Bright cells on planes, and a model that knows what a cell is."""

from __future__ import annotations

from functools import cache

import numpy as np

from sam2_core.checkpoints.build import load_model
from sam2_core.inference.video_predictor import SAM2VideoPredictor


@cache
def trained() -> SAM2VideoPredictor:
    """The shipped checkpoint, which knows what a cell is."""
    model = load_model(
        "sam2.1_hiera_micro",
        device="cpu",
        precision="fp32",
        overrides=["++model._target_=sam2.sam2_video_predictor.SAM2VideoPredictor"],
    )
    assert isinstance(model, SAM2VideoPredictor)
    return model


def cells(centres: list[tuple[float, float]], radius: float, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A picture of bright discs, centres (x, y), and which pixels each covers: (y, x) uint8 and (N, y, x) bool."""
    y, x = np.mgrid[: size[0], : size[1]]
    distances = np.stack([np.hypot(x - cx, y - cy) for cx, cy in centres])
    light = (1 / (1 + np.exp((distances - radius) / 1.5))).max(axis=0)
    noise = np.random.default_rng(0).normal(0, 4, size)
    return (30 + 170 * light + noise).clip(0, 255).astype(np.uint8), distances <= radius


def iou(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / max(1, (first | second).sum()))
