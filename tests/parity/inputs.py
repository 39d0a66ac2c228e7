"""The pictures, prompts and frames both sides of a parity run are given: drawn from a seed, never stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

PICTURE_SIZE = (300, 400)  # (H, W): not square, smaller than 1024 and larger than 256 in both directions
FRAME_COUNT = 5


def picture(seed: int = 0, size: tuple[int, int] = PICTURE_SIZE) -> np.ndarray:
    """Draw a picture with soft discs on an uneven background.

    Parameters
    ----------
    seed : int
        Which picture.
    size : (int, int)
        (H, W).

    Returns
    -------
    ndarray
        (H, W, RGB) uint8.
    """
    random = np.random.default_rng(seed)
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    result = np.empty((height, width, 3), np.float32)
    for channel in range(3):
        result[..., channel] = 90 + 40 * np.sin(x / 37 + channel) * np.cos(y / 29 - channel)
    for _ in range(25):
        center = random.uniform(0, 1, 2) * (height, width)
        radius = random.uniform(8, 45)
        distance = np.hypot(y - center[0], x - center[1])
        inside = 1 / (1 + np.exp(np.minimum((distance - radius) / 1.5, 80)))  # beyond, float32 overflows
        result += inside[..., None] * random.uniform(-90, 90, 3).astype(np.float32)
    result += random.normal(0, 3, result.shape)
    return result.clip(0, 255).astype(np.uint8)


def write_frames(folder: Path, count: int = FRAME_COUNT) -> None:
    """Write JPEG frames `00000.jpg`, … of a picture that drifts to the right and down."""
    folder.mkdir(parents=True, exist_ok=True)
    height, width = PICTURE_SIZE
    scene = picture(7, (height + 40, width + 60))
    for index in range(count):
        top, left = 6 * index, 9 * index
        Image.fromarray(scene[top : top + height, left : left + width]).save(folder / f"{index:05d}.jpg", quality=95)


def disc_mask(center: tuple[float, float], radius: float) -> np.ndarray:
    """(H, W) bool: a disc around (x, y) in a picture of `PICTURE_SIZE`."""
    y, x = np.mgrid[: PICTURE_SIZE[0], : PICTURE_SIZE[1]]
    return np.asarray((x - center[0]) ** 2 + (y - center[1]) ** 2 <= radius**2)


def noise(seed: int, *shape: int) -> Tensor:
    """Standard normal float32 values of `shape`."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def model_images(image_size: int, batch: int = 2) -> Tensor:
    """(B, RGB, H, W) float32: pictures as the encoder gets them, about zero mean and unit deviation."""
    pictures = np.stack([picture(20 + index, (image_size, image_size)) for index in range(batch)])
    return (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() - 115) / 58
