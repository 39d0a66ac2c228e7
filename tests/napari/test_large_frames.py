"""A plane much larger than what the model sees: cells are looked at in close-ups, and that is said."""

from __future__ import annotations

from typing import Any

import numpy as np

from sam2_napari.dock import LARGE_FRAMES
from tests.napari.hand import Hand, until
from tests.napari.scene import micro_model, opened_dock

SIDE, CELL, RADIUS = 2000, (700, 1200), 14


def plane() -> np.ndarray:
    """Cells on a grid of 50 pixels: (y, x) uint8."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    distance = np.hypot((rows + 25) % 50 - 25, (columns + 25) % 50 - 25)
    return (30 + 150 / (1 + np.exp(distance - RADIUS))).astype(np.uint8)


def test_a_click_on_a_small_cell_gives_the_cell(viewer: Any) -> None:
    image = plane()
    viewer.add_image(image, name="plane", axis_labels=("y", "x"))
    dock = opened_dock(viewer, micro_model())
    try:
        dock.start.begin.click()
        until(lambda: dock.annotation is not None, why=lambda: dock.status.text())
        assert LARGE_FRAMES in dock.status.text()
        assert dock.workspace.propagation.preset.choice.currentText() == "A close-up of each object"

        viewer.camera.center, viewer.camera.zoom = CELL[::-1], 4.0
        Hand(viewer).click(*CELL)
        session = dock.annotation.session
        until(lambda: session.record(1, 0) is not None if session.objects else False, why=lambda: dock.status.text())
        wanted = np.hypot(*(np.mgrid[:SIDE, :SIDE] - np.array(CELL[::-1])[:, None, None])) < RADIUS
        mask = session.mask(1, 0)
        assert np.count_nonzero(mask & wanted) / np.count_nonzero(mask | wanted) > 0.5
    finally:
        dock.close_session()
