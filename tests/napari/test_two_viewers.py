"""Two viewers side by side, each with a session of its own: nothing of one is seen in the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from tests.napari.hand import Hand, until
from tests.napari.scene import CELLS, cells, micro_model, opened_dock


@pytest.fixture(scope="module")
def other_viewer(viewer: Any, qapp: Any) -> Iterator[Any]:
    """A second window, beside the first one."""
    import napari

    made = napari.Viewer(show=True)
    made.window._qt_window.resize(1100, 800)
    qapp.processEvents()
    yield made
    made.close()
    qapp.processEvents()


def begun(viewer: Any, model: Any, name: str, image: np.ndarray) -> Any:
    """A dock with a session; both have the same network."""
    viewer.add_image(image, name=name, axis_labels=("z", "y", "x"))
    dock = opened_dock(viewer, model)
    dock.start.session.setCurrentIndex(0)
    dock.start.begin.click()
    until(lambda: dock.annotation is not None, why=lambda: dock.status.text())
    return dock


def test_two_sessions(viewer: Any, other_viewer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sam2_napari.start_panel as start_panel

    monkeypatch.setattr(start_panel, "setting", lambda group, name: "thread" if name == "worker" else "")
    model = micro_model()
    docks = [begun(viewer, model, "cells", cells()), begun(other_viewer, model, "cells", cells()[::-1])]
    first, second = (dock.annotation for dock in docks)
    hands = [Hand(viewer), Hand(other_viewer)]
    assert first.session.folder != second.session.folder

    # both are clicked before either answers
    for hand, frame in zip(hands, (0, 5), strict=True):
        hand.viewer.dims.set_point(0, frame)
    until(lambda: first.frame == 0 and second.frame == 5)
    for hand in hands:
        hand.click(*CELLS[0])
    for dock in docks:
        until(lambda dock=dock: [row.is_here for row in dock.annotation.rows] == [True], why=dock.status.text)
    x, y = CELLS[0]
    assert first.session.mask(1, 0)[y, x]
    assert second.session.mask(1, 5)[y, x]
    assert first.session.masked_frames(1) == [0]
    assert second.session.masked_frames(1) == [5]

    # a key belongs to the window it is pressed in, and so does what it undoes
    hands[1].key(Qt.Key.Key_C)
    assert (first.current, second.current) == (1, None)
    hands[1].click(*CELLS[1])
    until(lambda: len(second.rows) == 2 and second.rows[1].is_here, why=lambda: docks[1].status.text())
    hands[0].key(Qt.Key.Key_Z, "Control")
    until(lambda: not first.rows)
    assert len(second.session.objects) == 2
    until(lambda: not first.layer._slice.image.raw.any())
    np.testing.assert_array_equal(second.layer._slice.image.raw, second.session.labels(5))

    # one is closed while the other one is at work
    hands[1].key(Qt.Key.Key_S, "Shift")
    docks[0].close_session()
    until(lambda: first.closing is not None and first.closing.done())
    assert [layer.name for layer in viewer.layers] == ["cells"]
    until(lambda: [row.frames for row in second.rows] == [6, 6], why=lambda: docks[1].status.text())
    hands[1].key(Qt.Key.Key_Z, "Control")
    until(lambda: [row.frames for row in second.rows] == [1, 1])
    docks[1].close_session()
