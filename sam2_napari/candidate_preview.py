"""A layer that outlines the masks that pass the thresholds, before objects are made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from sam2_napari.label_layer import like
from sam2_napari.layer_removal import remove_layers
from sam2_napari.layer_stack import SHOWN_KEY
from sam2_napari.session_labels import SessionLabels

if TYPE_CHECKING:
    from sam2_napari.annotation import Annotation

COLOUR: Final = "#ffe14d"
#: Width of the outlines, in pixels of the image.
CONTOUR: Final = 1


class CandidatePreview:
    """Shows labels of one frame over a session's objects.

    Parameters
    ----------
    annotation : Annotation
    """

    def __init__(self, annotation: Annotation) -> None:
        self._annotation = annotation
        self._source = _OneFrame(annotation.session.frame_size)
        self._labels: SessionLabels | None = None
        self.layer: Any = None
        annotation.closed.connect(lambda _: self.hide())

    def show(self, frame: int, labels: NDArray[np.int32]) -> None:
        """Outline labels (y, x) on a frame, and nothing on others."""
        from napari.layers import Labels
        from napari.utils import DirectLabelColormap

        self._source.frame, self._source.drawn = frame, labels
        viewer = self._annotation.viewer
        if self.layer is not None and self.layer in viewer.layers and self._labels is not None:
            self._labels.forget()
            self.layer.refresh()
            return
        self._labels = SessionLabels(self._source, self._annotation.placement)
        image = self._annotation.image
        self.layer = Labels(
            self._labels, name=f"{image.name} candidates", opacity=1.0, metadata={SHOWN_KEY: True}, **like(image)
        )
        self.layer.colormap = DirectLabelColormap(color_dict={None: COLOUR, 0: "transparent"})
        self.layer.contour = CONTOUR
        active = viewer.layers.selection.active
        viewer.add_layer(self.layer)
        self.layer.editable = False
        # it must not take the mouse from the tool in use
        viewer.layers.selection.active = active

    def hide(self) -> None:
        """Take the layer away."""
        if self.layer is not None:
            remove_layers(self._annotation.viewer, [self.layer])
        self.layer = self._labels = None


class _OneFrame:
    """Labels as a session has them, on one frame only."""

    def __init__(self, frame_size: tuple[int, int]) -> None:
        self._nothing = np.zeros(frame_size, np.int32)
        self.frame = -1
        self.drawn = self._nothing

    def labels(self, frame: int) -> NDArray[np.int32]:
        """Labels (y, x) of a frame."""
        return (self.drawn if frame == self.frame else self._nothing).copy()
