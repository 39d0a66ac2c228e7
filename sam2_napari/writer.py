"""Saving a Labels layer through the label writers: OME-Zarr, TIFF and the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from sam2_napari.frame_placement import FramePlacement, guessed_axes


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write labels frame after frame.

    Parameters
    ----------
    path : str
        Its ending says the format.
    data : array-like
        2 to 4 dimensions.
    attributes : dict
        The layer's.

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    Sam2Error
        As for :func:`sam2_core.volumes.labels.open_label_writer`.
    """
    from sam2_core.errors import InvalidInputError
    from sam2_core.volumes.labels import open_label_writer

    shape = tuple(int(size) for size in data.shape)
    named = attributes.get("axis_labels") or ()
    axes = guessed_axes(named, shape)
    if axes == "cyx" and not {"c", "channel"} & {str(one).lower() for one in named}:
        # few planes of an image are rather channels; of labels they are slices
        axes = "zyx"
    placement = FramePlacement.of(axes, shape, at={})
    others = [letter for letter in axes if letter in placement.at or letter == "c"]
    if any(shape[axes.index(letter)] > 1 for letter in others):
        raise InvalidInputError(
            f"These labels have axes {axes} of sizes {shape}; a file holds frames along one axis. Save each "
            f"position on {', '.join(others)} by itself."
        )
    scale = dict(zip(axes, attributes.get("scale") or (), strict=False))
    spacing = (float(scale.get(placement.along, 1.0)), float(scale.get("y", 1.0)), float(scale.get("x", 1.0)))
    height, width = placement.frame_size
    with open_label_writer(
        path,
        length=placement.frame_count,
        frame_size=(height, width),
        axis=placement.along or "frame",
        spacing=spacing,
        overwrite=True,
    ) as writer:
        for frame in range(placement.frame_count):
            place = {**placement.at, placement.along: frame, "c": 0}
            index = tuple(slice(None) if one in "yx" else place[one] for one in axes)
            writer.write(frame, np.asarray(data[index]))
    return [path]
