"""Commands that menus call."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import napari


def show_annotate(viewer: napari.Viewer) -> None:
    """Show the dock in this viewer."""
    viewer.window.add_plugin_dock_widget("sam2-lab", "Annotate")
