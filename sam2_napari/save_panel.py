"""Writing the objects as files that other software reads, and taking such files in."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QFileDialog, QFormLayout, QLabel, QLineEdit, QMessageBox, QVBoxLayout, QWidget

from sam2_core.hooks import LabelFormat, get_plugins
from sam2_core.session.lineage import TRACK_FORMATS
from sam2_napari.annotation import Annotation
from sam2_napari.buttons import button
from sam2_napari.import_panel import ImportPanel

#: How a file of each format usually ends.
ENDINGS: Final = {
    "ome-zarr": ".zarr",
    "tiff": ".ome.tif",
    "coco": ".json",
    "imagej-roi": ".zip",
    "png": "",
    "ctc": "",
    **{name: ending for name, (_, ending) in TRACK_FORMATS.items()},
}
#: What tracks are written as, besides labels.
TRACKS: Final = {
    "geff": "objects over time as a graph, with divisions: Graph Exchange File Format",
    "trackmate": "objects over time, with divisions, for TrackMate in Fiji: XML",
}


class SavePanel(QWidget):
    """Labels in every format there is, measurements, labels back into the image's own OME-Zarr, and imports.

    Parameters
    ----------
    annotation : Annotation
    parent : QWidget, optional
    """

    def __init__(self, annotation: Annotation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._annotation = annotation
        session = annotation.session
        kept = QLabel(f"Everything is saved as you work, in {session.folder}")
        kept.setWordWrap(True)
        self.format = QComboBox()
        for name, registered in get_plugins().contributions(LabelFormat).items():
            self.format.addItem(name, name)
            self.format.setItemData(
                self.format.count() - 1, registered.contribution.summary, Qt.ItemDataRole.ToolTipRole
            )
        for name, summary in TRACKS.items():
            self.format.addItem(f"{name} (tracks)", name)
            self.format.setItemData(self.format.count() - 1, summary, Qt.ItemDataRole.ToolTipRole)
        self.export = button("Export…", self._ask_labels, "Write the objects in this format.")
        self.measure = button("Export measurements…", self._ask_measurements, "One line an object and frame, as CSV.")
        self.name = QLineEdit("sam2")
        self.name.setToolTip("Name of the labels inside the image's store.")
        address = str(session.stack.address or "")
        self._store = address if ".zarr" in address else ""
        self._written: set[str] = set()
        self.write_back = button(
            "Save into the image's OME-Zarr", self.save_into_image, "Write labels/NAME beside the image's own pixels."
        )
        layout = QVBoxLayout(self)
        layout.addWidget(kept)
        form = QFormLayout()
        form.addRow("Format", self.format)
        layout.addLayout(form)
        layout.addWidget(self.export)
        layout.addWidget(self.measure)
        if self._store:
            into = QFormLayout()
            into.addRow("Name", self.name)
            layout.addLayout(into)
            layout.addWidget(self.write_back)
        self.imports = ImportPanel(annotation)
        layout.addSpacing(8)
        layout.addWidget(self.imports)
        layout.addStretch(1)

    def export_to(self, path: str, *, overwrite: bool = False) -> None:
        """Write labels or tracks to a path, in the format that is chosen."""
        session, chosen = self._annotation.session, self.format.currentData()
        self._annotation.work.do(lambda: session.start_export(path, chosen, overwrite=overwrite))

    def measure_to(self, path: str) -> None:
        """Write measurements to a path."""
        session = self._annotation.session

        def work() -> str:
            from sam2_core.session.export import write_measurements

            write_measurements(session, path)
            return path

        self._annotation.work.do(work, then=lambda written: self._annotation.say(f"Measurements are in {written}."))

    def save_into_image(self) -> None:
        """Write labels into the image's own store; asks first if others have that name."""
        place = f"{self._store.rstrip('/')}/labels/{self.name.text().strip() or 'sam2'}"
        if place in self._written:
            self._write_into_image(place, True)
        else:
            self._annotation.work.do(
                Path(place).exists,
                then=lambda is_there: self._ask_replace(place) if is_there else self._write_into_image(place, False),
            )

    def _ask_replace(self, place: str) -> None:
        box = QMessageBox(
            QMessageBox.Icon.Question,
            "Replace labels",
            f"There are labels in {place} already. Replace them? This cannot be undone.",
            parent=self,
        )
        replace = box.addButton("Replace", QMessageBox.ButtonRole.AcceptRole)
        box.addButton(QMessageBox.StandardButton.Cancel)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.finished.connect(lambda _: self._write_into_image(place, True) if box.clickedButton() is replace else None)
        box.open()

    def _write_into_image(self, place: str, overwrite: bool) -> None:
        session = self._annotation.session
        if "://" not in place:
            # nothing of anybody else's is there; of an address nobody has looked
            self._written.add(place)
        self._annotation.work.do(lambda: session.start_export(place, "ome-zarr", overwrite=overwrite))

    def _ask_labels(self) -> None:
        chosen = self.format.currentData()
        what = "tracks" if chosen in TRACKS else "labels"
        usual = f"{Path(self._annotation.session.stack.name).stem} {what}{ENDINGS.get(chosen, '')}"
        path, _ = QFileDialog.getSaveFileName(self, f"Export {what}", usual)
        if path:
            # the dialog has asked whether to replace what is there
            self.export_to(path, overwrite=True)

    def _ask_measurements(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Export measurements", "objects.csv", "CSV (*.csv)")
        if path:
            self.measure_to(path)
