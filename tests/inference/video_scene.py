"""A small video predictor with weights that matter, and a stack for it to look at."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch

from sam2_core.checkpoints.config import instantiate_model, load_config
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from tests.parity.alive_weights import alive_state_dict

INPUT_SIZE = 128
HEIGHT, WIDTH = 60, 90
FRAME_COUNT = 8

# the official classes and options, a fraction of the width and depth
_SMALL = [
    f"++model.image_size={INPUT_SIZE}",
    "++model._target_=sam2.sam2_video_predictor.SAM2VideoPredictor",
    "++model.image_encoder.trunk.embed_dim=16",
    "++model.image_encoder.trunk.stages=[1,1,1,1]",
    "++model.image_encoder.trunk.global_att_blocks=[2]",
    "++model.image_encoder.neck.backbone_channel_list=[128,64,32,16]",
    "++model.memory_attention.num_layers=2",
    "++model.memory_attention.layer.dim_feedforward=64",
]


@cache
def _weights() -> dict[str, torch.Tensor]:
    model = instantiate_model(load_config("configs/sam2.1/sam2.1_hiera_t.yaml", _SMALL))
    return alive_state_dict(model.state_dict(), seed=3)


def small_predictor(target: str = "sam2.sam2_video_predictor.SAM2VideoPredictor", **options: Any) -> SAM2VideoPredictor:
    """Build the small predictor, with options of the predictor or of the model."""
    overrides = [*_SMALL, f"++model._target_={target}", *(f"++model.{name}={value}" for name, value in options.items())]
    model = instantiate_model(load_config("configs/sam2.1/sam2.1_hiera_t.yaml", overrides))
    assert isinstance(model, SAM2VideoPredictor)
    model.load_state_dict(_weights())
    return model.eval()


def stack(count: int = FRAME_COUNT, seed: int = 0) -> np.ndarray:
    """(T, H, W, RGB) uint8: a scene of soft blobs that drifts."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: HEIGHT + 2 * count, : WIDTH + 3 * count]
    scene = np.full((*y.shape, 3), 60.0)
    for _ in range(20):
        center, radius = random.uniform(0, 1, 2) * y.shape, random.uniform(4, 14)
        inside = np.hypot(y - center[0], x - center[1]) < radius
        scene[inside] += random.uniform(-60, 120, 3)
    scene += random.normal(0, 4, scene.shape)
    frames = [scene[2 * i : 2 * i + HEIGHT, 3 * i : 3 * i + WIDTH] for i in range(count)]
    return np.stack(frames).clip(0, 255).astype(np.uint8)


def disc(center: tuple[float, float], radius: float) -> np.ndarray:
    """(H, W) bool disc around (x, y)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.asarray(np.hypot(x - center[0], y - center[1]) <= radius)
