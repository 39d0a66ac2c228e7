"""Small images and a small model for the tests of the napari front-end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

MANIFEST = Path(__file__).parents[2] / "sam2_napari" / "napari.yaml"
FRAMES, SIZE = 6, 96
#: (x, y) of the two cells on frame 0.
CELLS = ((34, 40), (64, 56))


def cells(frames: int = FRAMES) -> np.ndarray:
    """Two round cells that drift apart: (frame, y, x) uint8."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    stack = np.full((frames, SIZE, SIZE), 12.0)
    for frame in range(frames):
        for (x, y), step in zip(CELLS, (-1, 1), strict=True):
            stack[frame] += 180 * np.exp(-((((rows - y) ** 2 + (columns - x - step * frame) ** 2) / 11.0**2) ** 3))
    return stack.clip(0, 255).astype(np.uint8)


def micro_model() -> Any:
    """The model that ships, as a predictor on the CPU; loaded once for a module."""
    from sam2_core.checkpoints.build import load_model
    from sam2_core.errors import MissingFileError

    overrides = ("++model._target_=sam2.sam2_video_predictor.SAM2VideoPredictor",)
    try:
        return load_model("sam2.1_hiera_micro", device="cpu", precision="fp32", overrides=overrides)
    except MissingFileError as error:
        pytest.skip(f"needs the shipped checkpoint: {error}")


def opened_dock(viewer: Any, model: Any = None) -> Any:
    """The dock in a viewer, with a model to choose that is loaded already, working in a thread."""
    _, dock = viewer.window.add_plugin_dock_widget("sam2-lab", "Annotate")
    if model is not None:
        dock.start.model.addItem("loaded already", model)
        dock.start.model.setCurrentIndex(dock.start.model.count() - 1)
    return dock
