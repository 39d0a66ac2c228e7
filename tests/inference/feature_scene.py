"""What tests of features share: a file of frames, and a model that counts what it encodes."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.volumes import FrameStack


class CountingFrames(FrameStack):
    """The frames of an array (t, y, x, RGB), and what was read of them."""

    def __init__(self, array: np.ndarray) -> None:
        super().__init__(
            name="array",
            length=len(array),
            frame_size=array.shape[1:3],
            channel_count=3,
            dtype=array.dtype,
            axis="frame",
            colour=True,
            contrast=None,
        )
        self.array = array
        self.reads: list[int] = []

    def _read_raw(self, index: int) -> np.ndarray:
        self.reads.append(index)
        return self.array[index]


def counted_batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that are encoded from now on."""
    sizes: list[int] = []
    encode = SAM2VideoPredictor.forward_image

    def counted(self: SAM2VideoPredictor, images: torch.Tensor) -> Any:
        sizes.append(images.shape[0])
        return encode(self, images)

    monkeypatch.setattr(SAM2VideoPredictor, "forward_image", counted)
    return sizes


def written(path: Path, pixels: np.ndarray) -> Path:
    """A TIFF that was not changed for a while."""
    tifffile.imwrite(path, pixels, photometric="rgb")
    os.utime(path, (time.time() - 1000,) * 2)
    return path
