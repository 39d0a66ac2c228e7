"""Labels layers of a viewer, as labels of a session's frames, and a list of them to choose from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QComboBox, QSizePolicy, QWidget

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.frame_grid import FrameGrid
from sam2_core.volumes.labels.label_stack import LabelStack, unsigned
from sam2_core.volumes.labels.layout import LabelLayout
from sam2_napari.annotation import Annotation
from sam2_napari.frame_placement import FramePlacement
from sam2_napari.layer_stack import SHOWN_KEY

if TYPE_CHECKING:
    from napari.layers import Labels


class LayerLabels(LabelStack):
    """The labels of a layer where a session's frames are, read frame by frame.

    Parameters
    ----------
    layer : Labels
    placement : FramePlacement
        Of the session.

    Raises
    ------
    InvalidInputError
        The layer has another size than the image.
    """

    def __init__(self, layer: Labels, placement: FramePlacement) -> None:
        data = layer.data[0] if layer.multiscale else layer.data
        shape = tuple(placement.shape)
        # labels rarely have the channels of their image
        without_channels = tuple(size for letter, size in zip(placement.axes, shape, strict=True) if letter != "c")
        if tuple(data.shape) not in (shape, without_channels):
            raise InvalidInputError(
                f"The layer {layer.name!r} has shape {tuple(data.shape)}, the image {shape}. Labels must have "
                "the size of the image."
            )
        grid = FrameGrid(placement.along, (sizes[0], sizes[1])) if len(sizes := placement.frame_sizes) == 2 else None
        dtype = unsigned(np.dtype(data.dtype), layer.name)
        super().__init__(
            layer.name,
            LabelLayout(placement.frame_count, placement.frame_size, placement.along or "frame", dtype, grid=grid),
        )
        self._data = data
        self._placement = placement
        self._letters = placement.axes if tuple(data.shape) == shape else placement.axes.replace("c", "")

    def _read_pixels(self, index: int) -> NDArray[Any]:
        placement, letters = self._placement, self._letters
        place = {**placement.at, **placement.places(index), "c": 0}
        part = np.asarray(self._data[tuple(slice(None) if one in placement.plane else place[one] for one in letters)])
        in_order = letters.index(placement.plane[0]) < letters.index(placement.plane[1])
        return part if in_order else part.T


class LabelsChoice(QComboBox):
    """The Labels layers of a viewer, but for those that show what the session has.

    Parameters
    ----------
    annotation : Annotation
    first : mapping of str to Any, optional
        What else can be chosen: what is read, and what stands for it.
    parent : QWidget, optional
    """

    def __init__(
        self, annotation: Annotation, first: Mapping[str, Any] | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._annotation = annotation
        self._first = dict(first or {})
        # a layer with a long name must not make the dock wide
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._events = annotation.viewer.layers.events
        for event in ("inserted", "removed"):
            getattr(self._events, event).connect(self.list_layers)
        annotation.closed.connect(self._let_go)
        self.list_layers()

    @property
    def chosen(self) -> Any:
        """The layer, or what stands for something else; None if there is nothing to choose."""
        return self.currentData()

    def list_layers(self) -> None:
        """List what there is now; what was chosen stays chosen."""
        from napari.layers import Labels

        before = self.chosen
        every = [(text, meant) for text, meant in self._first.items()]
        for layer in self._annotation.viewer.layers:
            is_own = layer is self._annotation.layer or SHOWN_KEY in layer.metadata
            if isinstance(layer, Labels) and not is_own:
                layer.events.name.disconnect(self.list_layers)
                layer.events.name.connect(self.list_layers)
                every.append((layer.name, layer))
        self.clear()
        for text, meant in every:
            self.addItem(text, meant)
        # Qt gives back another string than it got
        is_same = [meant is before or (isinstance(meant, str) and meant == before) for _, meant in every]
        self.setCurrentIndex(is_same.index(True) if any(is_same) else 0)

    def _let_go(self) -> None:
        for event in ("inserted", "removed"):
            getattr(self._events, event).disconnect(self.list_layers)
        for layer in self._annotation.viewer.layers:
            layer.events.name.disconnect(self.list_layers)
