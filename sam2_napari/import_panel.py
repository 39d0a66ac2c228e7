"""Objects out of files: labels and tracks of other software, and what was exported here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QFormLayout, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from sam2_core.session.label_import import import_label_file
from sam2_core.session.track_files import is_track_file
from sam2_core.session.track_import import import_track_file
from sam2_napari.annotation import Annotation
from sam2_napari.buttons import button

if TYPE_CHECKING:
    from sam2_core.session.annotation_session import AnnotationSession


class ImportPanel(QWidget):
    """Labels in any format that is read, and tracks as GEFF or TrackMate XML, with names and lineage.

    Parameters
    ----------
    annotation : Annotation
    parent : QWidget, optional
    """

    def __init__(self, annotation: Annotation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._annotation = annotation
        self.masks = QLineEdit()
        self.masks.setPlaceholderText("labels of the same cells")
        self.masks.setToolTip(
            "Tracks say where a cell is, and rarely how it looks: the path of labels that do, a file or a folder. "
            "Without it each place becomes a click, to be segmented."
        )
        self.take_file = button(
            "From a file…", lambda: self._take(False), "Labels in any format that is read, or TrackMate's XML."
        )
        self.take_folder = button(
            "From a folder…",
            lambda: self._take(True),
            "A Cell Tracking Challenge result with its table of tracks, a GEFF, or OME-Zarr.",
        )
        files = QHBoxLayout()
        files.addWidget(self.take_file)
        files.addWidget(self.take_folder)
        form = QFormLayout()
        form.addRow("Masks for tracks", self.masks)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        what = QLabel("<b>Import</b> labels or tracks, with names and lineage")
        # it must not make the dock wide
        what.setWordWrap(True)
        layout.addWidget(what)
        layout.addLayout(files)
        layout.addLayout(form)

    def import_from(self, path: str) -> None:
        """Make objects of labels or tracks; one undo takes all of them back."""
        session, masks = self._annotation.session, self.masks.text().strip()
        self._annotation.work.do(lambda: _imported(session, path, masks), then=self._annotation.say)

    def _take(self, is_folder: bool) -> None:
        path = asked_path(self, is_folder)
        if path:
            self.import_from(path)


def asked_path(parent: QWidget, is_folder: bool) -> str:
    """Have a person choose a file or a folder; empty if none was chosen."""
    if is_folder:
        return QFileDialog.getExistingDirectory(parent, "Import labels or tracks")
    return QFileDialog.getOpenFileName(parent, "Import labels or tracks")[0]


def _imported(session: AnnotationSession, path: str, masks: str) -> str:
    """Import, in whichever thread; returns what a person should read."""
    name = Path(path).name
    if not is_track_file(path):
        return _counted(len(import_label_file(session, path)), name)
    ids = list(import_track_file(session, path, labels=masks or None).values())
    clicks = sum(len(session.prompted_frames(one)) for one in ids)
    said = _counted(len(ids), name)
    return f"{said} {clicks} places have a click and no mask: Segment answers one, Track all." if clicks else said


def _counted(count: int, name: str) -> str:
    return f"{count} object{'s' * (count != 1)} from {name}."
