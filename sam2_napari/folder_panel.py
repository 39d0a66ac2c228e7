"""The list of a folder's images: how far each is, and going from one to the next."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from sam2_core.hooks import LabelFormat, get_plugins
from sam2_napari.buttons import button
from sam2_napari.folder_work import FolderWork
from sam2_napari.keys import BoundKeys, key_of, label_of, with_key

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from sam2_core.session.work_list import WorkItem, WorkList, WorkState

SIGNS: Final[dict[WorkState, str]] = {"not begun": "○", "in work": "◐", "done": "●"}


class FolderPanel(QWidget):
    """Choosing a folder of images, and the list of them while it is worked through.

    Parameters
    ----------
    viewer : ViewerModel
        Its keys go from image to image while a folder is open.
    work : FolderWork
    parent : QWidget, optional
    """

    def __init__(self, viewer: ViewerModel, work: FolderWork, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._work = viewer, work
        self._items: list[WorkItem] = []
        self._listed: WorkList | None = None
        self._keys = BoundKeys(viewer, ())
        #: Shows this; for the dock to put where nothing is open yet.
        self.show_choice = button(
            "Work through a folder of images…", self.choose, "One image after the other, each with its own session."
        )
        self.choice = self._made_choice()
        self.list_part = self._made_list()
        layout = QVBoxLayout(self)
        # what is below is about one image
        layout.setContentsMargins(0, 0, 0, 12)
        layout.addWidget(self.choice)
        layout.addWidget(self.list_part)
        self.list_part.hide()
        self.hide()
        work.listed.connect(self._show)

    def choose(self) -> None:
        """Ask for the folders; the last ones are offered."""
        self._work.read_recent(self._offer_last)
        self.list_part.hide()
        self.choice.show()
        self.show()

    def _offer_last(self) -> None:
        # the person may have chosen one meanwhile
        if self._work.recent and not self.images.text():
            self.set_images(next(reversed(self._work.recent)))

    def set_images(self, path: str) -> None:
        """Choose the folder of the images, and with it what was chosen for it before."""
        self.images.setText(path)
        known = self._work.recent.get(path, {})
        self.labels.setText(str(known.get("labels", "")))
        self.format.setCurrentIndex(max(0, self.format.findData(known.get("format", "tiff"))))
        self.skips.setChecked(bool(known.get("takes_labelled_as_done", True)))

    def open(self) -> None:
        """Open the folder that is chosen."""
        self._work.open(
            self.images.text().strip(), self.labels.text().strip(), self.format.currentData(), self.skips.isChecked()
        )

    def _made_choice(self) -> QWidget:
        self.images, self.labels = QLineEdit(), QLineEdit()
        self.labels.setPlaceholderText("beside the images")
        self.images.setToolTip("Every image in it is one to work on; folders in it are left alone.")
        self.labels.setToolTip("Labels are written there when an image is done; the sessions are kept there too.")
        self.format = QComboBox()
        for name, registered in get_plugins().contributions(LabelFormat).items():
            self.format.addItem(name, name)
            self.format.setItemData(
                self.format.count() - 1, registered.contribution.summary, Qt.ItemDataRole.ToolTipRole
            )
        self.format.setCurrentIndex(max(0, self.format.findData("tiff")))
        self.skips = QCheckBox("Skip images that have labels already")
        self.skips.setChecked(True)
        form = QFormLayout()
        form.addRow("Images", _with_button(self.images, "Choose…", self._ask_images))
        form.addRow("Labels", _with_button(self.labels, "Choose…", self._ask_labels))
        form.addRow("Format", self.format)
        form.addRow(self.skips)
        row = QHBoxLayout()
        self.begin = button("Open", self.open, "Begin with the first image that is not done.")
        row.addWidget(self.begin)
        row.addWidget(button("Cancel", self._cancel))
        made = QWidget()
        layout = QVBoxLayout(made)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(QLabel("<b>Work through a folder of images</b>"))
        layout.addLayout(form)
        layout.addLayout(row)
        return made

    def _made_list(self) -> QWidget:
        self.title = QLabel()
        self.title.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.view = QListWidget()
        self.view.setFixedHeight(88)
        self.view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.view.setToolTip("Double-click on an image to open it.")
        self.view.itemDoubleClicked.connect(lambda one: self._work.go(self._items[self.view.row(one)]))
        self.previous = button(with_key("Back", key_of("previous_image")), partial(self._step, -1), "The image before.")
        self.next = button(with_key("Next", key_of("next_image")), partial(self._step, 1), "The image after.")
        self.done = button(
            with_key("Done, next", key_of("finish_image")),
            self._work.finish,
            "Write the labels of this image, and go to the next one.",
        )
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(button("Close folder", self._close, "The image and its session stay open."))
        row = QHBoxLayout()
        for widget in (self.previous, self.next, self.done):
            row.addWidget(widget)
        made = QWidget()
        layout = QVBoxLayout(made)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(head)
        layout.addWidget(self.view)
        layout.addLayout(row)
        return made

    def _step(self, step: int) -> None:
        self._work.step(step, skips_done=self.skips.isChecked())

    def _show(self, states: dict[WorkItem, WorkState]) -> None:
        work = self._work.work
        if work is not self._listed:
            self._listed = work
            self._keys.release()
            if work is not None:
                self._bind()
                # another folder may be being chosen while this one is listed again
                self.choice.hide()
        if work is None:
            self.hide()
            return
        done = sum(state == "done" for state in states.values())
        self.title.setText(f"<b>{work.images.name}</b>: {done} of {len(states)} done")
        self.title.setToolTip(f"Images in {work.images}\nLabels in {work.labels}")
        self._items = list(states)
        self.view.clear()
        for item, state in states.items():
            shown = QListWidgetItem(f"{SIGNS[state]}  {item.name}")
            shown.setToolTip(f"{item.name}: {state}")
            self.view.addItem(shown)
            if item == self._work.current:
                font = shown.font()
                font.setBold(True)
                shown.setFont(font)
                self.view.setCurrentItem(shown)
        self.list_part.setVisible(self.choice.isHidden())
        self.show()

    def _bind(self) -> None:
        for name, function in (
            ("finish_image", self._work.finish),
            ("next_image", partial(self._step, 1)),
            ("previous_image", partial(self._step, -1)),
        ):
            self._keys.bind(key_of(name), function, label_of(name))
        if self._keys.wrong:
            self._work.warn(f"{' '.join(self._keys.wrong)} Change it in File > Preferences > SAM 2 Lab.")

    def _cancel(self) -> None:
        """Choose no folder; the one that is open is there still."""
        self.choice.hide()
        self.list_part.setVisible(self._listed is not None)
        self.setVisible(self._listed is not None)

    def _close(self) -> None:
        self._work.close()

    def _ask_images(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Folder of images", self.images.text())
        if path:
            self.set_images(path)

    def _ask_labels(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Folder for the labels", self.labels.text() or self.images.text())
        if path:
            self.labels.setText("" if Path(path) == Path(self.images.text()) else path)


def _with_button(line: QLineEdit, text: str, pressed: object) -> QHBoxLayout:
    row = QHBoxLayout()
    row.addWidget(line, 1)
    row.addWidget(button(text, pressed))  # type: ignore[arg-type]
    return row
