"""A hand in a real viewer: presses mouse buttons on the canvas and keys, in pixels of the image."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

MODIFIERS = {
    "": Qt.KeyboardModifier.NoModifier,
    "Alt": Qt.KeyboardModifier.AltModifier,
    "Control": Qt.KeyboardModifier.ControlModifier,
    "Shift": Qt.KeyboardModifier.ShiftModifier,
    "Control-Shift": Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier,
}


class Hand:
    """What a person does with mouse and keyboard in a viewer."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self._canvas = viewer.window._qt_viewer.canvas
        self._native = self._canvas.native

    def place(self, x: float, y: float) -> QPoint:
        """Where on the canvas a pixel of the image is shown."""
        view = self._canvas.view
        corners = [np.asarray(self._canvas._map_canvas2world(one, view))[-2:] for one in ((0, 0), (100, 0), (0, 100))]
        # (row, column) in the world is linear in the place on the canvas
        matrix = np.stack([(corners[1] - corners[0]) / 100, (corners[2] - corners[0]) / 100], axis=1)
        layer = self.viewer.layers.selection.active
        world = np.asarray(layer.data_to_world([0] * (layer.ndim - 2) + [y, x]))[-2:]
        across, down = np.linalg.solve(matrix, world - corners[0])
        return QPoint(round(float(across)), round(float(down)))

    def click(self, x: float, y: float, *, button: Any = Qt.MouseButton.LeftButton, modifiers: str = "") -> None:
        self.drag([(x, y)], button=button, modifiers=modifiers)

    def drag(
        self, points: list[tuple[float, float]], *, button: Any = Qt.MouseButton.LeftButton, modifiers: str = ""
    ) -> None:
        """Press at the first point, move over the others and let go at the last one."""
        kinds = QMouseEvent.Type
        # what was pressed before may have changed the size of the canvas
        for _ in range(3):
            QApplication.processEvents()
        first = self.place(*points[0])
        self._send(kinds.MouseMove, first, Qt.MouseButton.NoButton, Qt.MouseButton.NoButton, modifiers)
        self._send(kinds.MouseButtonPress, first, button, button, modifiers)
        for point in points[1:]:
            self._send(kinds.MouseMove, self.place(*point), Qt.MouseButton.NoButton, button, modifiers)
        # the canvas may have got another size while the tool's form was laid out
        self._send(kinds.MouseButtonRelease, self.place(*points[-1]), button, Qt.MouseButton.NoButton, modifiers)

    def double_click(self, x: float, y: float) -> None:
        place, left = self.place(x, y), Qt.MouseButton.LeftButton
        self._send(QMouseEvent.Type.MouseButtonDblClick, place, left, left, "")
        self._send(QMouseEvent.Type.MouseButtonRelease, place, left, Qt.MouseButton.NoButton, "")

    def key(self, key: Any, modifiers: str = "") -> None:
        """Press a key while the canvas has the keyboard."""
        QTest.keyClick(self._native, key, MODIFIERS[modifiers])
        QApplication.processEvents()

    def _send(self, kind: Any, place: QPoint, button: Any, buttons: Any, modifiers: str) -> None:
        at = QPointF(place)
        event = QMouseEvent(kind, at, self._native.mapToGlobal(at), button, buttons, MODIFIERS[modifiers])
        QApplication.sendEvent(self._native, event)
        QApplication.processEvents()


def until(happened: Callable[[], Any], seconds: float = 120.0, why: Callable[[], str] = lambda: "") -> None:
    """Let the interface go on until something has happened."""
    end = time.monotonic() + seconds
    while not happened():
        QApplication.processEvents()
        time.sleep(0.01)
        assert time.monotonic() < end or happened(), f"it has not happened in {seconds:g} s {why()}"
