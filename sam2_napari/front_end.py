"""The napari window as the hook of front-ends knows it: ``sam2 open SOURCE --in napari``."""

from __future__ import annotations

from collections.abc import Iterable

from sam2_core.errors import MissingDependencyError
from sam2_core.hooks import FrontEnd, hookimpl


def open_in_napari(source: str) -> None:
    """Show an image in a napari window with the dock beside it; returns when the window is closed.

    Parameters
    ----------
    source : str
        Path or URL of an image.

    Raises
    ------
    MissingDependencyError
        napari is not installed.
    Sam2Error
        The image cannot be opened. No window is shown then.
    """
    try:
        import napari
    except ImportError as error:
        raise MissingDependencyError(
            "napari is not installed; install it with a Qt binding: pip install 'sam2-lab[all]'."
        ) from error
    from sam2_napari.reader import layers_of, read

    layers = layers_of(read(source))
    viewer = napari.Viewer()
    for layer in layers:
        viewer.add_layer(layer)
    viewer.window.add_plugin_dock_widget("sam2-lab", "Annotate")
    napari.run()


@hookimpl
def sam2_front_ends() -> Iterable[FrontEnd]:
    """Say that there is napari."""
    return [FrontEnd("napari", "a desktop window, for images of any size", open=open_in_napari)]
