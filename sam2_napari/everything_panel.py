"""Finding all objects on a frame, and starting from labels that there are already."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QVBoxLayout, QWidget

from sam2_core.errors import InvalidInputError
from sam2_napari.annotation import Annotation
from sam2_napari.buttons import button
from sam2_napari.candidate_panel import CandidatePanel
from sam2_napari.option_form import OptionForm

if TYPE_CHECKING:
    from napari.layers import Labels


def everything_options(
    *,
    points_per_side: Annotated[int, {"min": 4, "max": 128}] = 32,
    pred_iou_thresh: Annotated[float, {"min": 0.0, "max": 1.0, "step": 0.02}] = 0.8,
    stability_score_thresh: Annotated[float, {"min": 0.0, "max": 1.0, "step": 0.02}] = 0.9,
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
        self.layers = QComboBox()
        self.take = button(
            "Start from this layer", self.import_layer, "Make an object of every label, to be corrected and tracked."
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
        for event in ("inserted", "removed"):
            getattr(annotation.viewer.layers.events, event).connect(self._list_layers)
        annotation.closed.connect(self._let_go)
        self._list_layers()

    def import_layer(self) -> None:
        """Make objects of the labels in the chosen layer."""
        layer = self._chosen_layer()
        if layer is None:
            self._annotation.say("There is no other Labels layer in the viewer; open or drop one first.")
            return
        try:
            frames = frames_of(layer, self._annotation)
        except InvalidInputError as error:
            self._annotation.failed(error)
            return
        self._annotation.work.do(
            lambda: self._annotation.session.import_labels(frames),
            then=lambda ids: self._annotation.say(f"{len(ids)} objects from {layer.name}."),
        )

    def _chosen_layer(self) -> Labels | None:
        name = self.layers.currentText()
        return next((one for one in self._annotation.viewer.layers if one.name == name), None)

    def _list_layers(self) -> None:
        from napari.layers import Labels

        chosen = self.layers.currentText()
        self.layers.clear()
        self.layers.addItems(
            [
                one.name
                for one in self._annotation.viewer.layers
                if isinstance(one, Labels) and one is not self._annotation.layer
            ]
        )
        self.layers.setCurrentText(chosen)

    def _let_go(self) -> None:
        for event in ("inserted", "removed"):
            getattr(self._annotation.viewer.layers.events, event).disconnect(self._list_layers)


def frames_of(layer: Labels, annotation: Annotation) -> Iterator[tuple[int, Any]]:
    """The labels of a layer, frame after frame, as a session takes them.

    Raises
    ------
    InvalidInputError
        Other sizes than the image. At the call.
    """
    placement = annotation.placement
    data = layer.data[0] if layer.multiscale else layer.data
    shape = tuple(placement.shape)
    # labels rarely have the channels of their image
    without_channels = tuple(size for letter, size in zip(placement.axes, shape, strict=True) if letter != "c")
    if tuple(data.shape) not in (shape, without_channels):
        raise InvalidInputError(
            f"The layer {layer.name!r} has shape {tuple(data.shape)}, the image {shape}. Labels must have "
            "the size of the image."
        )
    letters = placement.axes if tuple(data.shape) == shape else placement.axes.replace("c", "")

    def read() -> Iterator[tuple[int, Any]]:
        for frame in range(placement.frame_count):
            place = {**placement.at, placement.along: frame, "c": 0}
            part = np.asarray(data[tuple(slice(None) if one in placement.plane else place[one] for one in letters)])
            in_order = letters.index(placement.plane[0]) < letters.index(placement.plane[1])
            yield frame, part if in_order else part.T

    return read()
