"""Carrying volumes from one time of a z-stack to the next ones."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QSpinBox, QVBoxLayout, QWidget

from sam2_core.session.worker.volume_carrying import CarryingOptions
from sam2_napari.annotation import Annotation
from sam2_napari.buttons import button
from sam2_napari.option_form import OptionForm


class CarryPanel(QWidget):
    """To which times, and how slices are reconciled.

    Parameters
    ----------
    annotation : Annotation
        Of a session along t and z.
    objects : callable
        Gives the ids of the objects to carry, None for all; an empty list for none.
    parent : QWidget, optional
    """

    def __init__(
        self, annotation: Annotation, objects: Callable[[], list[int] | None], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._annotation, self._objects = annotation, objects
        self.direction = QComboBox()
        self.direction.addItem("later times", "forward")
        self.direction.addItem("earlier times", "backward")
        self.count = QSpinBox()
        placement = annotation.placement
        self.count.setRange(0, placement.frame_sizes[placement.along.index("t")])
        self.count.setSpecialValueText("all times")
        self.count.setSuffix(" times")
        self.form = OptionForm(CarryingOptions)
        self.form.setToolTip(
            "Slices on which tracking along t and z agree are believed; all others are tracked along z from those."
        )
        self.start = button(
            "Carry the volumes",
            self.carry,
            "Take the volumes that the objects have at this time to other times. One undo takes all of it back.",
        )
        form = QFormLayout()
        form.addRow("To", self.direction)
        form.addRow("Through", self.count)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(QLabel("<b>From this time to others</b>"))
        layout.addLayout(form)
        layout.addWidget(self.form)
        layout.addWidget(self.start)

    def carry(self) -> None:
        """Begin."""
        chosen = self._objects()
        if chosen != []:
            self._annotation.carry(
                chosen, direction=self.direction.currentData(), count=self.count.value() or None, **self.form.values
            )
