"""Taking layers out of a viewer without taking the program down."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer


def remove_layers(viewer: ViewerModel, layers: Iterable[Layer]) -> None:
    """Remove those of the layers that are in the viewer."""
    for layer in list(layers):
        if layer in viewer.layers:
            viewer.layers.remove(layer)


def keep_programs() -> None:
    """Keep vispy from deleting the OpenGL programs of layers that are gone.

    With vispy 0.17 the first draw after a Shapes or Points layer was removed and another one added ends in a
    segmentation fault, in a bare napari too (napari issues 6472, 8471, 3986); it does not once programs are not
    deleted. What is kept instead is a few kilobytes for each layer that was ever removed.
    """
    from vispy.gloo.glir import GlirProgram

    def delete(self: Any) -> None:
        """Do nothing."""

    GlirProgram.delete = delete
