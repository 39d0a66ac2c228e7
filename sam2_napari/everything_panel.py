"""Finding all objects on a frame, and starting from labels that there are already."""

from __future__ import annotations

from typing import Annotated

from qtpy.QtWidgets import QFormLayout, QLabel, QVBoxLayout, QWidget

from sam2_core.checkpoints.catalogue import everything_thresholds
from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_napari.annotation import Annotation
from sam2_napari.buttons import button
from sam2_napari.candidate_panel import CandidatePanel
from sam2_napari.layer_labels import LabelsChoice, LayerLabels
from sam2_napari.option_form import OptionForm


def everything_options(
    *,
    points_per_side: Annotated[int, {"min": 4, "max": 128}] = 32,
    pred_iou_thresh: Annotated[float, {"min": 0.0, "max": 1.0, "step": 0.01}] = 0.8,
    stability_score_thresh: Annotated[float, {"min": 0.0, "max": 1.0, "step": 0.01}] = 0.95,
    min_mask_region_area: Annotated[int, {"min": 0, "max": 1_000_000}] = 0,
) -> None:
    """The options of :class:`~sam2_core.SAM2AutomaticMaskGenerator` that people change, for a form."""


class EverythingPanel(QWidget):
    """Objects without clicking on each: the model's grid of points, or the labels of other software.

    Parameters
    ----------
    annotation : Annotation
    parent : QWidget, optional
    """

    def __init__(self, annotation: Annotation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._annotation = annotation
        self.form = OptionForm(everything_options)
        self._usual = self.form.values
        self._suiting = dict(self._usual)  # as the form was set for the model
        self.suit_model()
        self.find = button(
            "Segment everything on this frame",
            lambda: self.candidates.find(),
            "Find all objects on this frame; those that are there already are left out. One undo takes all back.",
        )
        self.find_and_track = button(
            "… and track them through the stack",
            lambda: self.candidates.find(track=True),
            "Find all objects on this frame, and carry each through the stack.",
        )
        self.layers = LabelsChoice(annotation)
        self.take = button(
            "Start from this layer",
            self.import_layer,
            "Make an object of every label, to be corrected and tracked. Files has those that are in a file.",
        )
        self.candidates = CandidatePanel(annotation, self.form)
        form = QFormLayout()
        form.addRow("Labels", self.layers)
        layout = QVBoxLayout(self)
        layout.addWidget(self.form)
        layout.addWidget(self.find)
        layout.addWidget(self.find_and_track)
        layout.addWidget(self.candidates)
        layout.addSpacing(8)
        layout.addWidget(QLabel("Or start from labels of other software:"))
        layout.addLayout(form)
        layout.addWidget(self.take)
        layout.addStretch(1)

    def suit_model(self) -> None:
        """Set the thresholds as they suit the model in use; those that a person has moved stay."""
        suits = everything_thresholds(self._annotation.session.model)
        for name in ("pred_iou_thresh", "stability_score_thresh"):
            widget = self.form.widgets[name]
            if widget.value == self._suiting[name]:
                widget.value = suits.get(name, self._usual[name])
                self._suiting[name] = widget.value

    def import_layer(self) -> None:
        """Make objects of the labels in the chosen layer."""
        layer = self.layers.chosen
        if layer is None:
            self._annotation.say("There is no other Labels layer in the viewer; open or drop one first.")
            return
        try:
            labels = LayerLabels(layer, self._annotation.placement)
        except (InvalidInputError, InvalidTypeError) as error:
            self._annotation.failed(error)
            return
        self._annotation.work.do(
            lambda: self._annotation.session.import_labels(enumerate(labels)),
            then=lambda ids: self._annotation.say(f"{len(ids)} object{'s' * (len(ids) != 1)} from {layer.name}."),
        )
