"""The Labels layer over a session: like the image's layer, coloured by object, refreshed where something changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sam2_napari.frame_placement import FramePlacement
from sam2_napari.session_labels import SessionLabels

if TYPE_CHECKING:
    from napari.layers import Image, Labels, Layer


def like(image: Layer) -> dict[str, Any]:
    """What makes another layer lie on an image's: its transforms, units and axis labels."""
    return {
        "scale": image.scale,
        "translate": image.translate,
        "rotate": image.rotate,
        "shear": image.shear,
        "affine": image.affine,
        "units": image.units,
        "axis_labels": image.axis_labels,
    }


def new_label_layer(image: Image, labels: SessionLabels) -> Labels:
    """A layer of all objects, over the image."""
    from napari.layers import Labels

    return Labels(labels, name=f"{image.name} objects", opacity=0.55, **like(image))


def colour(layer: Labels, colours: Mapping[int, str], hidden: set[int]) -> None:
    """Give each object its colour, and hidden ones none."""
    from napari.utils import DirectLabelColormap
    from napari.utils.colormaps.standardize_color import transform_color

    nothing = np.zeros(4, np.float32)
    table: dict[int | None, Any] = {None: nothing, 0: nothing}
    shown = [object_id for object_id in colours if object_id not in hidden]
    table.update(dict.fromkeys(hidden, nothing))
    if shown:
        rgba = transform_color([colours[object_id] for object_id in shown])
        table.update(zip(shown, rgba, strict=True))
    layer.colormap = DirectLabelColormap(color_dict=table)


def show_box(
    layer: Labels,
    labels: SessionLabels,
    placement: FramePlacement,
    frame: int,
    box: tuple[int, int, int, int],
    displayed: Sequence[int],
) -> None:
    """Show the pixels (x0, y0, x1, y1) of the visible frame anew, and no others.

    napari offers this for its own brush only, under names that may change: where they have, all of the slice is shown
    anew.

    Parameters
    ----------
    layer : Labels
    labels : SessionLabels
    placement : FramePlacement
    frame : int
        The one that is visible.
    box : tuple of int
        In pixels of the frame.
    displayed : sequence of int
        The layer's dimensions that are shown, rows of the canvas first.
    """
    x0, y0, x1, y1 = box
    if x0 >= x1 or y0 >= y1:
        return
    try:
        if layer.contour or not layer._slicing_state.loaded:
            layer.refresh()
            return
        part = labels.frame(frame)[y0:y1, x0:x1]
        rows, columns = placement.plane_dimensions
        window: tuple[slice, slice] = (slice(y0, y1), slice(x0, x1))
        if tuple(displayed) == (columns, rows):
            part, window = part.T, (window[1], window[0])
        layer._slice.image.raw[window] = part
        layer._slice.image.view[window] = layer.colormap._data_to_texture(part)
        updated = [slice(0, 1)] * layer.ndim
        for dimension, extent in zip(displayed, window, strict=True):
            updated[dimension] = extent
        layer._updated_slice = tuple(updated)
        layer._partial_labels_refresh()
    except (AttributeError, TypeError, ValueError, IndexError):
        layer.refresh()
