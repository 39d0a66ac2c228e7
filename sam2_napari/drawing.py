"""From the mouse to what was drawn: every gesture that a prompt type can ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from sam2_core.hooks import Drawn, PromptType
from sam2_napari.frame_placement import FramePlacement

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

    from sam2_napari.prompt_layers import PromptLayers

#: A press that moves less than this on the screen before it is released is a click.
CLICK_PIXELS: Final = 4.0
LEFT, RIGHT = 1, 2

Point = tuple[float, float]


class Drawing:
    """Draws prompts on a layer, with the gesture of the prompt type that is chosen.

    The left button with Alt, and for clicks the right button, say "not this" whatever the sign is.

    Parameters
    ----------
    viewer : ViewerModel
    layer : Labels
        What is drawn on while it is the active layer.
    placement : FramePlacement
    prompts : PromptLayers
        Where it shows while it is drawn.
    drawn : callable
        Gets each prompt type and what was drawn.
    refused : callable
        Gets a sentence where drawing is not possible.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        layer: Labels,
        placement: FramePlacement,
        prompts: PromptLayers,
        drawn: Callable[[PromptType, Drawn], object],
        refused: Callable[[str], object],
    ) -> None:
        self._viewer, self._layer, self._placement, self._prompts = viewer, layer, placement, prompts
        self._drawn, self._refused = drawn, refused
        self._corners: list[Point] = []
        self._corner_frame = 0
        self._corner_positive = True
        self.positive = True
        self.brush_size = 10.0
        self.prompt_type: PromptType | None = None
        layer.mouse_drag_callbacks.append(self._pressed)
        layer.mouse_move_callbacks.append(self._moved)
        layer.mouse_double_click_callbacks.append(self._double_clicked)

    def choose(self, prompt_type: PromptType | None) -> None:
        """Draw for this prompt type from now on; None leaves the mouse to the viewer."""
        self.give_up()
        self.prompt_type = prompt_type
        if prompt_type is not None:
            self._layer.mode = "pan_zoom"
            self._viewer.layers.selection.active = self._layer
        # a drag draws, and does not move the picture, except with gestures that are clicks
        self._layer.mouse_pan = prompt_type is None or prompt_type.gesture in ("point", "none", "polygon")
        self._layer.cursor = "standard" if prompt_type is None else "cross"

    def give_up(self) -> bool:
        """Forget what is half drawn; says whether there was anything."""
        had = bool(self._corners)
        self._corners = []
        self._prompts.clear_preview()
        return had

    def finish_polygon(self) -> None:
        """Close the polygon that is being drawn."""
        corners, self._corners = self._corners, []
        self._prompts.clear_preview()
        if self.prompt_type is not None and len(corners) >= 3:
            self._give(self.prompt_type, self._corner_frame, self._corner_positive, points=corners)

    def _pressed(self, layer: Labels, event: Any) -> Iterator[None]:
        chosen = self.prompt_type
        if chosen is None or layer.mode != "pan_zoom" or event.button not in (LEFT, RIGHT):
            return
        positive = self.positive and event.button == LEFT and "Alt" not in event.modifiers
        if event.button == RIGHT and chosen.gesture != "point":
            return
        place = self._place(event)
        if place is None:
            return
        frame, start = place
        begun = np.asarray(event.pos, float)
        path = [start]
        drags = chosen.gesture in ("box", "path", "brush")
        yield
        has_moved = False
        while event.type == "mouse_move":
            has_moved = has_moved or float(np.hypot(*(np.asarray(event.pos, float) - begun))) > CLICK_PIXELS
            if drags:
                path.append(self._point(event))
                self._show(chosen, frame, path, positive)
            yield
        if drags:
            path.append(self._point(event))
            self._prompts.clear_preview()
        if has_moved is not drags and chosen.gesture != "brush":
            # a click with a gesture that is a drag, or the picture was moved
            if drags:
                self._refused(f"Drag to draw a {chosen.name}; a click is not enough.")
            return
        self._finish(chosen, frame, path, positive)

    def _finish(self, chosen: PromptType, frame: int, path: list[Point], positive: bool) -> None:
        gesture = chosen.gesture
        if gesture == "point":
            self._give(chosen, frame, positive, points=path[:1])
        elif gesture == "box":
            self._give(chosen, frame, positive, points=[path[0], path[-1]])
        elif gesture == "path":
            self._give(chosen, frame, positive, points=path)
        elif gesture == "brush":
            self._give(chosen, frame, positive, mask=brushed(path, self.brush_size / 2, self._placement.frame_size))
        elif gesture == "none":
            self._give(chosen, frame, positive)
        else:
            if self._corners and frame != self._corner_frame:
                self.give_up()
            if not self._corners:
                # the first corner says what the whole outline means
                self._corner_frame, self._corner_positive = frame, positive
            self._corners.append(path[0])
            self._prompts.preview(frame, self._corners, "path", self._corner_positive)

    def _show(self, chosen: PromptType, frame: int, path: list[Point], positive: bool) -> None:
        kind = "rectangle" if chosen.gesture == "box" else "path"
        width = self.brush_size if chosen.gesture == "brush" else None
        self._prompts.preview(frame, path, kind, positive, width)

    def _moved(self, layer: Labels, event: Any) -> None:
        if self._corners:
            corners = [*self._corners, self._point(event)]
            self._prompts.preview(self._corner_frame, corners, "path", self._corner_positive)

    def _double_clicked(self, layer: Labels, event: Any) -> None:
        if self._corners:
            # its first press has set a corner already
            self.finish_polygon()

    def _give(self, chosen: PromptType, frame: int, positive: bool, *, points: Any = None, mask: Any = None) -> None:
        given = None if points is None else np.asarray(points, np.float32).reshape(-1, 2)
        self._drawn(chosen, Drawn(chosen.gesture, frame, positive, given, mask))

    def _place(self, event: Any) -> tuple[int, Point] | None:
        """Frame and point of an event; None, and a reason, where nothing can be drawn."""
        displayed = [dimension - (self._viewer.dims.ndim - self._layer.ndim) for dimension in event.dims_displayed]
        if len(displayed) == 3:
            self._refused("Prompts are drawn on planes: switch the viewer back to 2D (Ctrl+Y).")
            return None
        chosen = self.prompt_type
        # a click has a place in every plane; what is drawn on another plane is not on one frame
        if chosen is not None and chosen.gesture != "point" and not self._placement.is_in_plane(displayed):
            self._refused(
                f"A {chosen.name} is drawn on a frame, which shows {' and '.join(self._placement.plane)}; turn the "
                "viewer back (Ctrl+E), or begin a session with this plane as frames."
            )
            return None
        position = self._layer.world_to_data(event.position)
        frame = self._placement.frame_at(position)
        x, y = self._placement.point_at(position)
        height, width = self._placement.frame_size
        if frame is None or not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
            where = ", ".join(f"{letter} = {value}" for letter, value in self._placement.at.items())
            self._refused(f"That is outside of the frames this session works on{f' ({where})' if where else ''}.")
            return None
        return frame, _clipped((x, y), width, height)

    def _point(self, event: Any) -> Point:
        return self._placement.point_at(self._layer.world_to_data(event.position))


def brushed(path: list[Point], radius: float, frame_size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels (y, x) within `radius` of a line through points (x, y)."""
    mask = np.zeros(frame_size, bool)
    reach = max(radius, 0.5)
    for (x0, y0), (x1, y1) in zip(path, path[1:] or path, strict=False):
        left, right = max(0, int(min(x0, x1) - reach)), min(frame_size[1], int(max(x0, x1) + reach) + 2)
        top, bottom = max(0, int(min(y0, y1) - reach)), min(frame_size[0], int(max(y0, y1) + reach) + 2)
        if left >= right or top >= bottom:
            continue
        rows, columns = np.mgrid[top:bottom, left:right]
        length = (x1 - x0) ** 2 + (y1 - y0) ** 2
        along = ((columns - x0) * (x1 - x0) + (rows - y0) * (y1 - y0)) / length if length else np.zeros(rows.shape)
        along = np.clip(along, 0.0, 1.0)
        near = (columns - x0 - along * (x1 - x0)) ** 2 + (rows - y0 - along * (y1 - y0)) ** 2 <= reach**2
        mask[top:bottom, left:right] |= near
    return mask


def _clipped(point: Point, width: int, height: int) -> Point:
    return min(max(point[0], 0.0), width - 1.0), min(max(point[1], 0.0), height - 1.0)
