"""A small image model with weights that matter, and pictures for it to look at."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2_core.checkpoints.config import instantiate_model, load_config
from sam2_core.model.sam2_base import SAM2Base
from tests.parity.alive_weights import alive_state_dict

INPUT_SIZE = 128
HEIGHT, WIDTH = 70, 110

# The official classes and options, a fraction of the width and depth.
_SMALL = [
    f"++model.image_size={INPUT_SIZE}",
    "++model.image_encoder.trunk.embed_dim=16",
    "++model.image_encoder.trunk.stages=[1,1,1,1]",
    "++model.image_encoder.trunk.global_att_blocks=[2]",
    "++model.image_encoder.neck.backbone_channel_list=[128,64,32,16]",
    "++model.memory_attention.num_layers=1",
    "++model.memory_attention.layer.dim_feedforward=64",
]


def small_model(*overrides: str) -> SAM2Base:
    """Build a new small model."""
    model = instantiate_model(load_config("configs/sam2.1/sam2.1_hiera_t.yaml", [*_SMALL, *overrides]))
    model.load_state_dict(alive_state_dict(model.state_dict(), seed=3))
    return model.eval()


@cache
def shared_model() -> SAM2Base:
    """The small model, for tests that do not change it."""
    return small_model()


def picture(height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> npt.NDArray[Any]:
    """(y, x, RGB) uint8: discs of several sizes and colours on a noisy ground."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    image = np.full((height, width, 3), 60.0)
    for _ in range(14):
        centre, radius = random.uniform(0, 1, 2) * (height, width), random.uniform(4, 14)
        image[np.hypot(y - centre[0], x - centre[1]) < radius] += random.uniform(-60, 130, 3)
    image += random.normal(0, 4, image.shape)
    return image.clip(0, 255).astype(np.uint8)
