"""A form of a callable's options, made by magicgui from their types."""

from __future__ import annotations

import types
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Final, Union, get_args, get_origin

from qtpy.QtWidgets import QVBoxLayout, QWidget

from sam2_core.hooks import Option, options_of

#: What a number that may be left out shows where it is, below all that it can be.
LEFT_OUT: Final = "automatic"
#: What a number that may be left out can be where nothing else is said.
LOWEST, HIGHEST = 0, 1_000_000


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
        from magicgui.widgets import Container

        # of each number that may be left out, its type and the value that stands for that
        self._left_out: dict[str, tuple[type, float]] = {}
        self._container: Any = Container(widgets=[self._widget(one) for one in options_of(function)], labels=True)
        self._container.margins = (0, 0, 0, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        if len(self._container):
            layout.addWidget(self._container.native)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to choose."""
        return len(self._container) == 0

    @property
    def values(self) -> dict[str, Any]:
        """The options as they are chosen."""
        return {widget.name: self._value(widget) for widget in self._container}

    @property
    def widgets(self) -> dict[str, Any]:
        """The magicgui widget of each option."""
        return {widget.name: widget for widget in self._container}

    def _value(self, widget: Any) -> Any:
        if widget.name not in self._left_out:
            return widget.value
        kind, nothing = self._left_out[widget.name]
        return None if widget.value == nothing else kind(widget.value)

    def _widget(self, option: Option) -> Any:
        from magicgui.widgets import create_widget

        label = in_words(option.name)
        kind, settings = optional_number(option.annotation)
        if kind is None:
            given: Any = create_widget(
                value=option.default, annotation=option.annotation, name=option.name, label=label
            )
            if isinstance(option.default, float):
                _show_all_digits(given, option.default)
            return given
        # magicgui has no field for it that can be empty, but would begin with the lowest number
        nothing = float(settings.get("min", LOWEST) - 1)
        self._left_out[option.name] = kind, nothing
        # Qt's field for whole numbers that magicgui takes has no text for a special value
        limits = {"max": HIGHEST, **({"step": 1} if kind is int else {}), **settings, "min": nothing}
        value = nothing if option.default is None else float(option.default)
        widget: Any = create_widget(value=value, annotation=Annotated[float, limits], name=option.name, label=label)
        if kind is int:
            widget.native.setDecimals(0)
        elif option.default is not None:
            _show_all_digits(widget, option.default)
        widget.native.setSpecialValueText(LEFT_OUT)
        return widget


def optional_number(annotation: Any) -> tuple[type | None, dict[str, Any]]:
    """``int`` or ``float`` of a type such as ``Annotated[int | None, {"min": 1}]``, and its settings, or None."""
    settings: dict[str, Any] = {}
    if get_origin(annotation) is Annotated:
        annotation, *notes = get_args(annotation)
        for note in notes:
            settings |= note if isinstance(note, dict) else {}
    if get_origin(annotation) not in (Union, types.UnionType) or type(None) not in get_args(annotation):
        return None, {}
    inner = [one for one in get_args(annotation) if one is not type(None)]
    return (inner[0], settings) if len(inner) == 1 and inner[0] in (int, float) else (None, {})


def _show_all_digits(widget: Any, value: float) -> None:
    """Let a number field have a default such as 0.0002 as it is: it would round it to two digits, to nothing."""
    native = widget.native
    if hasattr(native, "setDecimals"):
        digits = -int(Decimal(str(value)).normalize().as_tuple().exponent)
        # of a number as small as that somebody may want half of it
        native.setDecimals(max(native.decimals(), digits + 1 if digits > 2 else digits))
        widget.value = value


def in_words(name: str) -> str:
    """An option's name for people to read."""
    return name.replace("_", " ").strip().capitalize()
