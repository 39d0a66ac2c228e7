"""A form of a callable's options, made by magicgui from their types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtWidgets import QVBoxLayout, QWidget

from sam2_core.hooks import options_of


class OptionForm(QWidget):
    """Widgets for the keyword-only parameters of a callable.

    Parameters
    ----------
    function : callable
        See :func:`sam2_core.hooks.options_of`.
    parent : QWidget, optional
    """

    def __init__(self, function: Callable[..., Any], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        from magicgui.widgets import Container, create_widget

        widgets = [
            create_widget(
                value=option.default, annotation=option.annotation, name=option.name, label=in_words(option.name)
            )
            for option in options_of(function)
        ]
        self._container: Any = Container(widgets=widgets, labels=True)
        self._container.margins = (0, 0, 0, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        if widgets:
            layout.addWidget(self._container.native)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to choose."""
        return len(self._container) == 0

    @property
    def values(self) -> dict[str, Any]:
        """The options as they are chosen."""
        return {widget.name: widget.value for widget in self._container}

    @property
    def widgets(self) -> dict[str, Any]:
        """The magicgui widget of each option."""
        return {widget.name: widget for widget in self._container}


def in_words(name: str) -> str:
    """An option's name for people to read."""
    return name.replace("_", " ").strip().capitalize()
