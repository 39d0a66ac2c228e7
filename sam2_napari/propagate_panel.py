"""Carrying objects through the stack."""

from __future__ import annotations

from typing import Any, Final

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QSpinBox, QVBoxLayout, QWidget

from sam2_core.hooks import Propagator, get_plugins
from sam2_napari.annotation import Annotation
from sam2_napari.buttons import button
from sam2_napari.carry_panel import CarryPanel
from sam2_napari.keys import key_of, with_key
from sam2_napari.option_form import OptionForm, in_words
from sam2_napari.preset_choice import PresetChoice

#: The axes that a session over two can be tracked along.
ALONG: Final = {"z": "z, the slices of this time", "t": "t, this slice at other times"}
ALL, SELECTED = "All objects", "Selected objects"
FIRST, HERE = "the first prompt", "this frame"


class PropagatePanel(QWidget):
    """Which objects, how, from where and how far.

    Parameters
    ----------
    annotation : Annotation
    selected : callable
        Gives the ids of the objects that are selected in the table.
    parent : QWidget, optional
    """

    def __init__(self, annotation: Annotation, selected: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._annotation, self._selected = annotation, selected
        known = get_plugins().contributions(Propagator)
        self.objects = QComboBox()
        self.objects.addItems([ALL, SELECTED])
        self.how = QComboBox()
        forms = QVBoxLayout()
        self.forms: dict[str, OptionForm] = {}
        for name, registered in known.items():
            self.how.addItem(in_words(name), name)
            self.how.setItemData(self.how.count() - 1, registered.contribution.summary, Qt.ItemDataRole.ToolTipRole)
            self.forms[name] = OptionForm(registered.contribution.propagate)
            forms.addWidget(self.forms[name])
        both = self.how.findData("both")
        self.how.currentIndexChanged.connect(self._choose)
        self.begin = QComboBox()
        self.begin.addItems([FIRST, HERE])
        axes = annotation.placement.along
        self.along = QComboBox()
        for letter in reversed(axes) if len(axes) > 1 else ():
            self.along.addItem(ALONG[letter], letter)
        self.count = QSpinBox()
        self.count.setRange(0, annotation.placement.frame_count)
        self.count.setSpecialValueText("all frames")
        self.count.setSuffix(" frames each way")
        self.start = button(
            with_key("Track", key_of("propagate")),
            self.propagate,
            "Carry the objects through the stack; masks show as they come.",
        )
        form = QFormLayout()
        form.addRow("Track", self.objects)
        form.addRow("How", self.how)
        if self.along.count():
            form.addRow("Along", self.along)
        form.addRow("From", self.begin)
        if self.along.count():
            # there are first prompts at several times: it is always this time, or slice, from the frame that is shown
            self.begin.setCurrentText(HERE)
            form.setRowVisible(self.begin, False)
        form.addRow("Through", self.count)
        self.preset = PresetChoice(annotation, self._chosen)
        form.addRow("Look at", self.preset.choice)
        row = QHBoxLayout()
        row.addWidget(self.start, 1)
        row.addWidget(self.preset.ask)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addLayout(forms)
        layout.addLayout(row)
        layout.addWidget(self.preset)
        self.carrying = CarryPanel(annotation, self._chosen_objects) if self.along.count() else None
        if self.carrying is not None:
            layout.addSpacing(8)
            layout.addWidget(self.carrying)
        layout.addStretch(1)
        self.how.setCurrentIndex(max(0, both))
        self._choose()

    def propagate(self) -> None:
        """Begin."""
        chosen = self._chosen()
        if chosen is not None:
            self._annotation.propagate(**chosen)

    def _chosen(self) -> dict[str, Any] | None:
        """What is to be propagated and how, as `start_propagate` takes it; None if that is open, and why is said."""
        objects = self._chosen_objects()
        if objects == []:
            return None
        name = self.how.currentData()
        return {
            "object_ids": objects,
            "propagator": name,
            "start": self._annotation.frame if self.begin.currentText() == HERE else None,
            "count": self.count.value() or None,
            "along": self.along.currentData(),
            **self.forms[name].values,
        }

    def _chosen_objects(self) -> list[int] | None:
        """The selected objects, or None for all; none, and why is said, if that is open."""
        if self.objects.currentText() == ALL:
            return None
        chosen: list[int] = self._selected()
        if not chosen:
            self._annotation.say("Select objects in the table first, or track all of them.")
        return chosen

    def _choose(self) -> None:
        chosen = self.forms.get(self.how.currentData())
        for form in self.forms.values():
            form.setVisible(form is chosen and not form.is_empty)
