"""The tools: every prompt type that there is, its options, and what to do with a prompt."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from sam2_core.hooks import PromptType, get_plugins
from sam2_napari.annotation import Annotation
from sam2_napari.buttons import button, toggle
from sam2_napari.keys import key_of, with_key
from sam2_napari.option_form import OptionForm, in_words
from sam2_napari.settings import setting

COLUMNS = 3


class ToolPanel(QWidget):
    """Buttons for the prompt types of all plugins, made from what each says of itself.

    Parameters
    ----------
    annotation : Annotation
    parent : QWidget, optional
    """

    def __init__(self, annotation: Annotation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._annotation = annotation
        self.prompt_types: dict[str, PromptType] = {
            name: registered.contribution for name, registered in get_plugins().contributions(PromptType).items()
        }
        self.buttons: dict[str, QPushButton] = {}
        self.forms: dict[str, OptionForm] = {}
        self._group = QButtonGroup(self)
        self._forms = QVBoxLayout()
        tools = QGridLayout()
        tools.setSpacing(4)
        self.move = toggle(with_key("Move", key_of("no_tool")), "Move the picture, as napari does without a tool.")
        self._group.addButton(self.move)
        tools.addWidget(self.move, 0, 0)
        for number, (name, prompt_type) in enumerate(self.prompt_types.items(), start=1):
            made = toggle(with_key(in_words(name), self.key(prompt_type)), in_words(prompt_type.summary) + ".")
            made.clicked.connect(lambda _=False, chosen=prompt_type: annotation.choose_tool(chosen))
            self._group.addButton(made)
            tools.addWidget(made, number // COLUMNS, number % COLUMNS)
            self.buttons[name] = made
            self.forms[name] = OptionForm(prompt_type.to_prompts)
            self._forms.addWidget(self.forms[name])
        self.move.clicked.connect(lambda: annotation.choose_tool(None))

        sign_key = key_of("toggle_sign")
        self.add = toggle(with_key("+ Add", sign_key), "What is drawn belongs to the object.")
        self.remove = toggle(
            with_key("− Remove", sign_key),
            "What is drawn does not belong to it; so with Alt, and with a click of the right mouse button.",
        )
        signs = QButtonGroup(self)
        signs.addButton(self.add)
        signs.addButton(self.remove)
        self.add.clicked.connect(lambda: annotation.set_sign(True))
        self.remove.clicked.connect(lambda: annotation.set_sign(False))
        self.brush = QDoubleSpinBox()
        self.brush.setRange(1, 500)
        self.brush.setSuffix(" px")
        self.brush.setValue(annotation.drawing.brush_size)
        self.brush.valueChanged.connect(self._set_brush)
        self._brush_label = QLabel("Brush")
        sign_row = QHBoxLayout()
        for widget in (self.add, self.remove):
            sign_row.addWidget(widget)
        sign_row.addWidget(self._brush_label)
        sign_row.addWidget(self.brush)

        self.at_once = QCheckBox("Segment after each prompt")
        self.at_once.setToolTip("Off, prompts are gathered until you press the key: for slow machines.")
        self.at_once.setChecked(bool(setting("session", "answers_at_once")))
        self.at_once.toggled.connect(self._set_at_once)
        self._set_at_once(self.at_once.isChecked())
        self.accept = button(
            with_key("Next new", key_of("accept")),
            lambda: annotation.select(None),
            "Done: the next prompt is a new object.",
        )
        self.segment = button(
            with_key("Segment", key_of("segment")), annotation.segment, "Answer the prompts on this frame again."
        )
        self.clear = button(
            with_key("Clear", key_of("clear")),
            annotation.clear_prompts,
            "Take back what was said of the object on this frame.",
        )
        actions = QHBoxLayout()
        for widget in (self.segment, self.accept, self.clear):
            actions.addWidget(widget)

        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (tools, sign_row, self._forms, self.at_once, actions):
            layout.addWidget(part) if isinstance(part, QWidget) else layout.addLayout(part)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        annotation.options_from(self._options)
        annotation.tool_changed.connect(self._show)
        self._show()

    @staticmethod
    def key(prompt_type: PromptType) -> str:
        """The key of a prompt type: the one in the preferences, else its own."""
        return key_of(f"tool_{prompt_type.name}", (prompt_type.key or "").upper())

    def _options(self, prompt_type: PromptType) -> dict[str, Any]:
        form = self.forms.get(prompt_type.name)
        return {} if form is None else form.values

    def _show(self) -> None:
        drawing = self._annotation.drawing
        chosen = drawing.prompt_type
        (self.move if chosen is None else self.buttons[chosen.name]).setChecked(True)
        (self.add if drawing.positive else self.remove).setChecked(True)
        form = None if chosen is None else self.forms[chosen.name]
        for one in self.forms.values():
            one.setVisible(one is form and not one.is_empty)
        is_brush = chosen is not None and chosen.gesture == "brush"
        self.brush.setVisible(is_brush)
        self._brush_label.setVisible(is_brush)

    def _set_brush(self, size: float) -> None:
        self._annotation.drawing.brush_size = size

    def _set_at_once(self, is_on: bool) -> None:
        self._annotation.answers_at_once = is_on
