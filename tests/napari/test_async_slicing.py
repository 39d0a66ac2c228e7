"""The work of a person with napari's asynchronous slicing on: what is shown comes later, and from another thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from tests.napari.hand import Hand, until
from tests.napari.scene import CELLS, FRAMES, cells, micro_model, opened_dock


@pytest.fixture(autouse=True, scope="module")
def _asynchronous(display: None) -> Iterator[None]:
    from napari.settings import get_settings

    settings = get_settings().experimental
    before, settings.async_ = settings.async_, True
    yield
    settings.async_ = before


def test_click_track_correct_and_undo(viewer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sam2_napari.start_panel as start_panel

    monkeypatch.setattr(start_panel, "setting", lambda group, name: "thread" if name == "worker" else "")
    viewer.add_image(cells(), name="cells", axis_labels=("z", "y", "x"))
    assert viewer._layer_slicer._force_sync is False
    dock, hand = opened_dock(viewer, micro_model()), Hand(viewer)
    dock.start.session.setCurrentIndex(0)
    viewer.dims.set_point(0, 0)
    dock.start.begin.click()
    until(lambda: dock.annotation is not None, why=lambda: dock.status.text())
    annotation, session = dock.annotation, dock.annotation.session

    def shows(frame: int) -> bool:
        """Whether the layer shows what the session has there."""
        return annotation.layer.loaded and np.array_equal(annotation.layer._slice.image.raw, session.labels(frame))

    hand.click(*CELLS[0])
    until(lambda: [row.is_here for row in annotation.rows] == [True], why=lambda: dock.status.text())
    assert session.mask(1, 0)[CELLS[0][1], CELLS[0][0]]
    until(lambda: shows(0))

    hand.key(Qt.Key.Key_S, "Shift")
    until(lambda: [row.frames for row in annotation.rows] == [FRAMES], why=lambda: dock.status.text())
    for frame in (3, 1, 5):
        viewer.dims.set_point(0, frame)
        until(lambda frame=frame: annotation.frame == frame and shows(frame))
        assert session.labels(frame).any()

    # painted with the layer's own brush, on the frame that is shown
    hand.key(Qt.Key.Key_Z)
    annotation.layer.mode = "paint"
    annotation.layer.brush_size = 5
    hand.drag([(80, 10), (85, 10)])
    until(lambda: session.record(1, 5).source == "paint", why=lambda: dock.status.text())
    assert session.mask(1, 5)[10, 82]
    until(lambda: shows(5))

    hand.key(Qt.Key.Key_Z, "Control")
    until(lambda: session.record(1, 5).source == "track")
    until(lambda: shows(5))
    hand.key(Qt.Key.Key_Z, "Control")
    until(lambda: [row.frames for row in annotation.rows] == [1])
    until(lambda: shows(5) and not annotation.layer._slice.image.raw.any())
    dock.close_session()
    assert [layer.name for layer in viewer.layers] == ["cells"]
