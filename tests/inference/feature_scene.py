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
