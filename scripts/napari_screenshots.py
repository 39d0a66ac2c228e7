"""Make the pictures of docs/napari.md; without a screen: `xvfb-run -a python scripts/napari_screenshots.py`."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZE = (1360, 920)
CELLS = 6


def until(happened: Callable[[], Any], seconds: float = 300.0) -> None:
    """Let the window go on until something has happened."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while not happened():
        QApplication.processEvents()
        time.sleep(0.01)
        if time.monotonic() > end:
            raise TimeoutError(f"it has not happened in {seconds:g} s")


def rest(seconds: float = 0.5) -> None:
    """Let the window settle."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end)


def scroll_to(widget: Any) -> None:
    """Show a part of the dock that lies below its edge."""
    from qtpy.QtWidgets import QScrollArea

    parent = widget.parentWidget()
    while not isinstance(parent, QScrollArea):
        parent = parent.parentWidget()
    rest()
    parent.ensureWidgetVisible(widget)


def main() -> None:
    """Work on a drawn stack, and take a picture of each step."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "docs" / "images")
    arguments.add_argument("--every", action="store_true", help="Each in both themes, to look at; not for the page.")
    chosen = arguments.parse_args()
    output, every = chosen.output, chosen.every

    import napari
    import numpy as np
    from napari.settings import get_settings
    from npe2 import PluginManager, PluginManifest

    import sam2_napari.session_folders as folders
    from sam2_core.hooks import Drawn
    from sam2_core.training.generator import draw_sample
    from sam2_napari import sample_data

    place = tempfile.TemporaryDirectory()
    # what is trained here is nobody's model
    os.environ["SAM2_LAB_CACHE"] = str(Path(place.name) / "cache")
    folders.sessions_folder = lambda: Path(place.name)  # type: ignore[assignment]
    if "sam2-lab" not in PluginManager.instance():
        PluginManager.instance().register(PluginManifest.from_file(Path(folders.__file__).with_name("napari.yaml")))
    viewer = napari.Viewer()
    viewer.window._qt_window.resize(*SIZE)
    ((image, described, _),) = sample_data.z_stack()
    truth = draw_sample("nuclei").drawn.labels
    viewer.add_image(image, **described)
    _, dock = viewer.window.add_plugin_dock_widget("sam2-lab", "Annotate")

    def picture(name: str, shown: str = "") -> None:
        for theme in (shown,) if shown and not every else ("dark", "light"):
            get_settings().appearance.theme = theme
            rest()
            viewer.window._qt_window.grab().save(str(output / f"napari-{name}-{theme}.png"))

    picture("start", "light")
    dock.start.model.setCurrentIndex(dock.start.model.findData("sam2.1_hiera_micro"))
    dock.start.begin.click()
    until(lambda: dock.annotation is not None)
    annotation, workspace = dock.annotation, dock.workspace
    middle = len(truth) // 2
    annotation.go_to_frame(middle)
    viewer.reset_view()
    areas = {one: int((truth[middle] == one).sum()) for one in np.unique(truth[middle])[1:]}
    point = workspace.tools.prompt_types["point"]
    for number, one in enumerate(sorted(areas, key=lambda one: -areas[one])[:CELLS], start=1):
        rows, columns = np.nonzero(truth[middle] == one)
        inner = int(np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2))
        annotation.select(None)
        annotation.draw(point, Drawn("point", middle, True, np.array([[columns[inner], rows[inner]]], np.float32)))
        until(lambda number=number: sum(row.is_here for row in annotation.rows) == number)
    picture("click", "dark")
    workspace.propagation.start.click()
    until(lambda: any(job.kind == "propagate" and job.done > 4 for job in annotation.session.jobs))
    rest()
    picture("track", "dark")
    until(lambda: not any(job.kind == "propagate" for job in annotation.session.jobs.active))
    workspace.tabs.setCurrentWidget(workspace.review)
    workspace.review.go_on()
    rest(2)
    picture("review", "light")
    workspace.tabs.setCurrentWidget(workspace.everything)
    picture("everything", "dark")
    workspace.tabs.setCurrentWidget(workspace.save)
    picture("save", "light")
    panel = workspace.training
    workspace.tabs.setCurrentWidget(panel)
    until(lambda: panel.recipe.currentData() == "decoder")
    panel.source.setCurrentText("All masks")
    panel.budget.setCurrentText("90 s")
    panel.name.setText("nuclei")
    panel.train.click()
    # a slow machine measures less often in that time
    until(lambda: len(panel.plot.ious) > 2 or annotation.session.model == "nuclei", 900)
    scroll_to(panel.preview)
    picture("train", "dark")
    panel.stop.click()
    until(lambda: annotation.session.model == "nuclei", 900)
    rest(2)
    if every:
        picture("trained")
    viewer.dims.ndisplay = 3
    until(lambda: dock.companion.layers)
    viewer.scene.camera.angles = (10, 25, 60)
    picture("volume", "dark")
    viewer.dims.ndisplay = 2
    dock.close_session()
    rest()
    viewer.close()


if __name__ == "__main__":
    main()
