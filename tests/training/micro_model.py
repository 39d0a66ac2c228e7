"""The micro network at a small input size, for tests."""

from __future__ import annotations

from pathlib import Path

import torch

from sam2_core.checkpoints.config import instantiate_model, load_config
from sam2_core.model import SAM2Base
from sam2_core.training.initialisation import initialise
from sam2_core.training.micro import CONFIG
from sam2_core.training.pool import Pool, draw_pool, open_pool


def small_model(size: int = 64) -> SAM2Base:
    """A new network of the shipped configuration for size x size inputs; the same at each call."""
    torch.manual_seed(0)
    model = instantiate_model(load_config(CONFIG, [f"model.image_size={size}"]))
    initialise(model, frequency=2.0 * size / 256)
    return model


def small_pool(folder: Path, frames: int, stacks: int = 3) -> Pool:
    """A few drawn stacks of 96 x 96 pixels."""
    for _ in draw_pool(folder, first_seed=11, stacks=stacks, frames=frames, size=(96, 96)):
        pass
    return open_pool(folder)
