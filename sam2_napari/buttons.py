"""Buttons that leave the keyboard to the canvas, so that keys go on working after a click."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton, QWidget


def button(text: str, pressed: Callable[[], object], tip: str = "", parent: QWidget | None = None) -> QPushButton:
    """A button that calls a function without arguments."""
    made = QPushButton(text, parent)
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    made.setToolTip(tip)
    made.clicked.connect(lambda: pressed())
    return made


def toggle(text: str, tip: str = "", parent: QWidget | None = None) -> QPushButton:
    """A button that stays down."""
    made = QPushButton(text, parent)
    made.setToolTip(tip)
    made.setCheckable(True)
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return made
