from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image


@pytest.fixture(scope="session")
def untrained(tmp_path_factory) -> Path:
    """Weights of the small model as they are before training: enough to run every command, too little for its masks."""
    import torch
    from safetensors.torch import save_file

    from sam2_core.checkpoints.config import instantiate_model, load_config

    config = "configs/sam2.1/sam2.1_hiera_micro.yaml"
    torch.manual_seed(0)
    model = instantiate_model(load_config(config))
    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, path, metadata={"sam2_config": config, "sam2_image_size": "64"})
    return path


@pytest.fixture
def picture(tmp_path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


@pytest.fixture
def stack(tmp_path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 3000, (4, 40, 50)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "stack.tif", pixels, imagej=True, metadata={"axes": "TYX"})
    return tmp_path / "stack.tif"


@pytest.fixture
def encoded(monkeypatch, tmp_path) -> list[int]:
    """How many pictures the encoder was given, one entry a call, with an embedding store of the test's own.

    Without what is encoded only to see how long that takes.
    """
    from sam2_core.inference.tracking_estimate import TrackingEstimate
    from sam2_core.inference.video_predictor import SAM2VideoPredictor

    monkeypatch.setenv("SAM2_LAB_EMBEDDINGS", str(tmp_path / "embeddings"))
    counts: list[int] = []
    real = SAM2VideoPredictor.forward_image
    monkeypatch.setattr(
        SAM2VideoPredictor, "forward_image", lambda model, batch: counts.append(len(batch)) or real(model, batch)
    )
    estimate = TrackingEstimate(
        frames=1, objects=1, seconds=12.0, seconds_per_frame=10.0, seconds_per_object=2.0, disk_bytes=1, memory_bytes=1
    )
    monkeypatch.setattr(SAM2VideoPredictor, "estimate", lambda *_: estimate)
    return counts
