"""Make the pictures of docs/napari.md.

Without a screen: `xvfb-run -a -s "-screen 0 1600x1200x24" python scripts/napari_screenshots.py`; on a smaller one the
question about a download is cut off.
"""

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


def choose_micro(dock: Any) -> None:
    """Take the model that ships, which is here without a download."""
    dock.start.model.setCurrentIndex(dock.start.model.findData("sam2.1_hiera_micro"))


def begin(dock: Any) -> Any:
    """Begin a session; returns its annotation."""
    choose_micro(dock)
    dock.start.begin.click()
    until(lambda: dock.annotation is not None)
    dock.viewer.reset_view()
    return dock.annotation


def click(annotation: Any, frame: int, x: float, y: float) -> None:
    """Click on the current object, or a new one, and wait for the answer."""
    import numpy as np

    from sam2_core.hooks import Drawn, PromptType, get_plugins

    session, known = annotation.session, {one.id for one in annotation.session.objects}
    point = get_plugins().find(PromptType, "point").contribution
    current = annotation.current
    annotation.draw(point, Drawn("point", frame, True, np.array([[x, y]], np.float32)))
    until(
        lambda: any(
            session.record(one.id, frame) is not None
            for one in session.objects
            if (one.id == current if current is not None else one.id not in known)
        )
    )


def inner_point(labels: Any, one: int) -> tuple[int, int]:
    """The pixel (x, y) of an object that is nearest to its middle."""
    import numpy as np

    rows, columns = np.nonzero(labels == one)
    inner = int(np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2))
    return int(columns[inner]), int(rows[inner])


def largest(labels: Any, count: int) -> list[int]:
    """The ids of the largest objects."""
    import numpy as np

    ids, areas = np.unique(labels[labels > 0], return_counts=True)
    return [int(one) for one in ids[np.argsort(-areas)][:count]]


def idle(annotation: Any) -> None:
    """Wait until nothing is going on."""
    rest()
    until(lambda: not annotation.session.jobs.active)


class Story:
    """A window with the dock, and pictures of what is done in it.

    Parameters
    ----------
    output : Path
        Where pictures go.
    every : bool
        Whether each is taken in both themes.
    """

    def __init__(self, output: Path, every: bool) -> None:
        import napari

        self._output, self._every = output, every
        self.viewer = napari.Viewer()
        self.viewer.window._qt_window.resize(*SIZE)
        _, self.dock = self.viewer.window.add_plugin_dock_widget("sam2-lab", "Annotate")

    def picture(self, name: str, shown: str = "", *, screen: bool = False) -> None:
        """Take a picture of the window, or of all that is on the screen, in the theme that the page shows."""
        from napari.settings import get_settings
        from qtpy.QtWidgets import QApplication

        for theme in (shown,) if shown and not self._every else ("dark", "light"):
            get_settings().appearance.theme = theme
            rest()
            window = self.viewer.window._qt_window
            if screen:
                place = window.frameGeometry()
                taken = QApplication.primaryScreen().grabWindow(0).copy(place)
            else:
                taken = window.grab()
            taken.save(str(self._output / f"napari-{name}-{theme}.png"))

    def clear(self) -> None:
        """Begin with an empty viewer."""
        from qtpy.QtCore import QEvent
        from qtpy.QtWidgets import QApplication

        self.dock.close_session()
        rest()
        self.viewer.layers.clear()
        # Qt takes away what was closed when its own loop is left, which there is none of here
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)

    def stack(self) -> None:
        """A z-stack: clicks, tracking, review, everything, saving, training, three dimensions."""
        from sam2_core.training.generator import draw_sample
        from sam2_napari import sample_data

        viewer, dock = self.viewer, self.dock
        ((image, described, _),) = sample_data.z_stack()
        truth = draw_sample("nuclei").drawn.labels
        viewer.add_image(image, **described)
        self.picture("start", "light")
        annotation = begin(dock)
        workspace = dock.workspace
        middle = len(truth) // 2
        annotation.go_to_frame(middle)
        viewer.reset_view()
        for one in largest(truth[middle], CELLS):
            annotation.select(None)
            click(annotation, middle, *inner_point(truth[middle], one))
        until(lambda: sum(row.is_here for row in annotation.rows) == CELLS)
        self.picture("click", "dark")
        workspace.propagation.start.click()
        until(lambda: any(job.kind == "propagate" and job.done > 4 for job in annotation.session.jobs))
        rest()
        self.picture("track", "dark")
        until(lambda: not any(job.kind == "propagate" for job in annotation.session.jobs.active))
        workspace.tabs.setCurrentWidget(workspace.review)
        workspace.review.go_on()
        rest(2)
        self.picture("review", "light")
        self._everything(annotation, workspace.everything, middle)
        workspace.tabs.setCurrentWidget(workspace.save)
        self.picture("save", "light")
        self._train(annotation, workspace.training)
        viewer.dims.ndisplay = 3
        until(lambda: dock.companion.layers)
        viewer.scene.camera.angles = (10, 25, 60)
        self.picture("volume", "dark")
        viewer.dims.ndisplay = 2
        self.clear()

    def _everything(self, annotation: Any, panel: Any, frame: int) -> None:
        """Find all objects of a frame, then show what stricter thresholds would leave."""
        self.dock.workspace.tabs.setCurrentWidget(panel)
        annotation.go_to_frame(frame)
        panel.form.widgets["points_per_side"].value = 16
        panel.find.click()
        until(lambda: "pass" in panel.candidates.count.text())
        panel.form.widgets["pred_iou_thresh"].value = 0.7
        until(panel.candidates.apply.isEnabled)
        rest(1)
        scroll_to(panel.candidates.apply)
        self.picture("everything", "dark")
        panel.candidates.preview.hide()
        annotation.undo()
        idle(annotation)

    def _train(self, annotation: Any, panel: Any) -> None:
        self.dock.workspace.tabs.setCurrentWidget(panel)
        until(lambda: panel.recipe.currentData() == "decoder")
        panel.source.setCurrentText("All masks")
        panel.budget.setCurrentText("90 s")
        panel.name.setText("nuclei")
        panel.train.click()
        # a slow machine measures less often in that time
        until(lambda: len(panel.plot.ious) > 2 or annotation.session.model == "nuclei", 900)
        scroll_to(panel.preview)
        self.picture("train", "dark")
        panel.stop.click()
        until(lambda: annotation.session.model == "nuclei", 900)
        rest(2)
        if self._every:
            self.picture("trained")

    def time(self) -> None:
        """A time-lapse: labels of other software, a division, its links."""
        import numpy as np

        from sam2_core.training.generator import draw_sample
        from sam2_napari import sample_data

        ((image, described, _),) = sample_data.time_lapse()
        truth = draw_sample("time-lapse").drawn.labels
        # as other software has it, cut short: one cell that is two from the middle on
        cells = largest(truth[0], 6)
        labels = np.where(np.isin(truth, cells), truth, 0).astype(np.uint16)
        mother, other, half = cells[1], cells[2], len(labels) // 2
        labels[:half][labels[:half] == other] = 0
        labels[half:][labels[half:] == mother] = labels.max() + 1
        viewer, dock = self.viewer, self.dock
        viewer.add_image(image, **described)
        layer = viewer.add_labels(labels, name="cellpose", visible=False)
        annotation = begin(dock)
        dock.workspace.everything.layers.setCurrentText("cellpose")
        dock.workspace.everything.take.click()
        until(lambda: len(annotation.rows) == len(np.unique(labels)) - 1)
        idle(annotation)
        viewer.layers.remove(layer)
        # of these three the one that is there first became the others
        is_first = {row.id: annotation.session.masked_frames(row.id)[0] == 0 for row in annotation.rows}
        ends = {row.id: annotation.session.masked_frames(row.id)[-1] == half - 1 for row in annotation.rows}
        family = [one for one, first in is_first.items() if not first or ends[one]]
        dock.workspace.table._select(set(family))
        dock.workspace.table.link.click()
        until(lambda: dock.lineage.layer is not None and dock.lineage.layer.graph)
        annotation.go_to_frame(half + 2)
        rest(1)
        self.picture("lineage", "light")
        self.clear()

    def volumes(self) -> None:
        """Z-stacks over time: tracked at one time, carried to the others."""
        import numpy as np

        from sam2_core.training.generator import draw_sample
        from sam2_napari import sample_data

        ((film, described, _),) = sample_data.volumes()
        truth = draw_sample("nuclei").drawn.labels[::2]
        self.viewer.add_image(film, **described)
        start = self.dock.start
        start.along.setCurrentIndex(start.along.findData("tz"))
        annotation = begin(self.dock)
        annotation.go_to_frame(4)
        for one in largest(truth[4], 3):
            annotation.select(None)
            click(annotation, 4, *inner_point(np.asarray(truth[4]), one))
        self.dock.workspace.propagation.start.click()
        idle(annotation)
        scroll_to(self.dock.workspace.propagation.carrying.start)
        self.dock.workspace.propagation.carrying.start.click()
        until(lambda: any(job.kind == "carry" and job.done > 0 for job in annotation.session.jobs))
        self.picture("carry", "dark")
        annotation.cancel()
        idle(annotation)
        self.clear()

    def folder(self, place: Path) -> None:
        """A folder of images, the first of which is done."""
        import tifffile

        from sam2_core.training.generator import draw_sample
        from sam2_napari import sample_data

        images = place / "images"
        images.mkdir()
        ((stack, _, _),) = sample_data.z_stack()
        for number in range(4):
            tifffile.imwrite(images / f"field{number + 1}.tif", stack[4 + 2 * number])
        truth = draw_sample("nuclei").drawn.labels
        dock = self.dock
        choose_micro(dock)
        dock.folder.show_choice.click()
        dock.folder.set_images(str(images))
        self.picture("folder-choice", "light")
        dock.folder.begin.click()
        for number in range(2):
            name = f"field{number + 1}"
            until(lambda name=name: dock.annotation is not None and name in dock.annotation.image.name)
            annotation, labels = dock.annotation, truth[4 + 2 * number]
            for one in largest(labels, 5):
                annotation.select(None)
                click(annotation, 0, *inner_point(labels, one))
            idle(annotation)
            if number == 0:
                dock.folder_work.finish()
        self.picture("folder", "dark")
        dock.folder_work.close()
        self.clear()

    def download(self) -> None:
        """What is asked before weights are downloaded."""
        from sam2_napari import sample_data

        ((image, described, _),) = sample_data.picture()
        self.viewer.add_image(image, **described)
        dock = self.dock
        dock.start.model.setCurrentIndex(dock.start.model.findData("sam2.1_hiera_tiny"))
        dock.start.begin.click()
        until(lambda: dock._question is not None)
        self.picture("download", "light", screen=True)
        dock._question.reject()
        self.clear()


STORIES = ("stack", "time", "volumes", "folder", "download")


def main() -> None:
    """Work on drawn images, and take a picture of each step."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("stories", nargs="*", default=STORIES, help=f"Some of {', '.join(STORIES)}; all by default.")
    arguments.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "docs" / "images")
    arguments.add_argument("--every", action="store_true", help="Each in both themes, to look at; not for the page.")
    chosen = arguments.parse_args()

    from npe2 import PluginManager, PluginManifest

    import sam2_napari.session_folders as folders

    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        # what is trained here is nobody's model
        os.environ["SAM2_LAB_CACHE"] = str(place / "cache")
        folders.sessions_folder = lambda: place / "sessions"  # type: ignore[assignment]
        if "sam2-lab" not in PluginManager.instance():
            PluginManager.instance().register(PluginManifest.from_file(Path(folders.__file__).with_name("napari.yaml")))
        story = Story(chosen.output, chosen.every)
        for one in chosen.stories:
            getattr(story, one)(*([place] if one == "folder" else []))
        story.viewer.close()


if __name__ == "__main__":
    main()
