"""Buttons that leave the keyboard to the canvas, so that keys go on working after a click."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton, QToolButton, QWidget


def button(text: str, pressed: Callable[[], object], tip: str = "", parent: QWidget | None = None) -> QPushButton:
    """A button that calls a function without arguments."""
    made = QPushButton(text, parent)
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    made.setToolTip(tip)
    made.clicked.connect(lambda: pressed())
    return made


def tool_button(text: str, tip: str = "", parent: QWidget | None = None) -> QToolButton:
    """A button that stays down."""
    made = QToolButton(parent)
    made.setText(text)
    made.setToolTip(tip)
    made.setCheckable(True)
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
    return made
