"""Taking layers out of a viewer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

#: As many vertex attributes as OpenGL promises.
VERTEX_ATTRIBUTES: Final = 16


def remove_layers(viewer: ViewerModel, layers: Iterable[Layer]) -> None:
    """Remove those of the layers that are in the viewer."""
    for layer in layers:
        if layer in viewer.layers:
            viewer.layers.remove(layer)
    forget_vertex_arrays()


def forget_vertex_arrays() -> None:
    """Keep OpenGL from reading the vertices of a layer that is gone.

    What vispy draws with stays switched on until it draws something else; once it is deleted with its layer, the next
    draw reads freed memory and may take the whole program down (napari issues 6472 and 8471).
    """
    from vispy.gloo import get_current_canvas

    canvas = get_current_canvas()
    if canvas is None:
        # nothing was ever drawn
        return
    for number in range(VERTEX_ATTRIBUTES):
        # put in the queue, and done before the next draw, in the canvas's own context
        canvas.context.glir.command("FUNC", "glDisableVertexAttribArray", number)
