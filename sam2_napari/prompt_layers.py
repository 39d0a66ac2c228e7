"""The layers that show what was said of the current object, and what is being drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from sam2_napari.frame_placement import FramePlacement
from sam2_napari.label_layer import like

if TYPE_CHECKING:
    from napari.layers import Image, Points, Shapes

    from sam2_core.session.items import SessionPrompt

POSITIVE: Final = "#22d36b"
NEGATIVE: Final = "#ff4d4d"

Clicks = dict[int, list[tuple[float, float, int]]]


class PromptLayers:
    """Clicks in a Points layer, where they can be moved and deleted, and boxes in a Shapes layer.

    Parameters
    ----------
    image : Image
        What they lie on.
    placement : FramePlacement
    edited : callable
        Gets all clicks by frame, each (x, y, label), after a person has moved, deleted or added some in the layer.
    """

    def __init__(self, image: Image, placement: FramePlacement, edited: Callable[[Clicks], object]) -> None:
        from napari.layers import Points, Shapes

        self._placement = placement
        self._edited = edited
        self._is_showing = False
        self._dimensions = len(placement.axes)
        self._line = max(1.0, 0.006 * min(placement.frame_size))
        self._boxes: list[tuple[NDArray[np.float64], str]] = []
        self._preview: tuple[NDArray[np.float64], str, float, str] | None = None
        self.points: Points = Points(
            ndim=self._dimensions,
            name=f"{image.name} clicks",
            size=max(3.0, 0.02 * min(placement.frame_size)),
            border_width=0.12,
            border_color="white",
            # with a lower limit above 0, napari shows the placeholder that it draws where there is no point
            canvas_size_limits=(0, 18),
            features={"label": np.zeros(0, dtype=int)},
            feature_defaults={"label": 1},
            **like(image),
        )
        self.shapes: Shapes = Shapes(ndim=self._dimensions, name=f"{image.name} boxes", opacity=0.9, **like(image))
        self.shapes.editable = False
        self.points.events.data.connect(self._points_changed)

    def show(self, prompts: Mapping[int, SessionPrompt], channel: int = 0) -> None:
        """Show what was said of an object, by frame."""
        positions, labels = [np.zeros((0, self._dimensions))], []
        self._boxes = []
        for frame, prompt in prompts.items():
            positions.append(self._placement.positions(frame, prompt.points, channel))
            labels += list(prompt.labels)
            if prompt.box is not None:
                x0, y0, x1, y1 = prompt.box
                corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
                self._boxes.append((self._placement.positions(frame, corners, channel), "rectangle"))
        self._is_showing = True
        try:
            data = np.concatenate(positions)
            if len(data) != len(self.points.data) or not np.array_equal(data, self.points.data):
                self.points.selected_data = set()
                self.points.data = data
            if len(data):
                self.points.features = {"label": np.asarray(labels, int)}
                # napari takes the last click's label for new ones, which may be negative
                self.points.feature_defaults = {"label": 1}
                self.points.face_color = [POSITIVE if label else NEGATIVE for label in labels]
        finally:
            self._is_showing = False
        self._show_shapes()

    def preview(self, frame: int, points: Any, kind: str, positive: bool, width: float | None = None) -> None:
        """Show what is being drawn: points (x, y) of a "path" or a "rectangle", and its width in pixels."""
        given = np.asarray(points, float).reshape(-1, 2)
        if kind == "rectangle":
            (x0, y0), (x1, y1) = given[0], given[-1]
            given = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
        elif len(given) < 2:
            given = np.concatenate([given, given + 0.01])
        place = self._placement.positions(frame, given)
        self._preview = (place, kind, width or self._line, POSITIVE if positive else NEGATIVE)
        self._show_shapes()

    def clear_preview(self) -> None:
        """Show that nothing is being drawn."""
        if self._preview is not None:
            self._preview = None
            self._show_shapes()

    def _show_shapes(self) -> None:
        shown = [(place, kind, self._line, POSITIVE) for place, kind in self._boxes]
        if self._preview is not None:
            shown.append(self._preview)
        if not shown and not self.shapes.nshapes:
            return
        with self.shapes.events.data.blocker():
            self.shapes.data = []
            if shown:
                self.shapes.add(
                    [place for place, _, _, _ in shown],
                    shape_type=[kind for _, kind, _, _ in shown],
                    edge_width=[width for _, _, width, _ in shown],
                    edge_color=[colour for _, _, _, colour in shown],
                    face_color="transparent",
                )
        self.shapes.refresh()

    def _points_changed(self, event: Any) -> None:
        if self._is_showing or str(event.action) not in ("added", "removed", "changed"):
            return
        labels = self.points.features["label"].to_numpy()
        clicks: Clicks = {}
        for position, label in zip(self.points.data, labels, strict=True):
            frame = self._placement.frame_at(position)
            if frame is not None:
                x, y = self._placement.point_at(position)
                clicks.setdefault(frame, []).append((x, y, int(label)))
        self._edited(clicks)
