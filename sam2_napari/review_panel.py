"""The review queue: which masks to look at, the most doubtful first."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from sam2_core.hooks import Propagator, get_plugins
from sam2_core.session.review import ReviewItem, ReviewQueue
from sam2_napari.annotation import Annotation
from sam2_napari.buttons import button
from sam2_napari.keys import key_of, with_key
from sam2_napari.option_form import in_words

SHOWN = 200


class ReviewPanel(QWidget):
    """Goes from one doubtful mask to the next; accepting one locks it.

    Parameters
    ----------
    annotation : Annotation
    parent : QWidget, optional
    """

    def __init__(self, annotation: Annotation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._annotation = annotation
        self.items: list[ReviewItem] = []
        self._at: ReviewItem | None = None
        self.left = QLabel("Masks that look wrong come here, the worst first.")
        self.left.setWordWrap(True)
        self.list = QListWidget()
        self.list.itemClicked.connect(lambda item: self._show(self.items[self.list.row(item)]))
        self.next = button(
            with_key("Next doubtful", key_of("next_doubtful")), self.go_on, "Show the most doubtful mask."
        )
        self.accept = button(
            with_key("Accept", key_of("accept_doubtful")), self.accept_shown, "It is good as it is: lock it, and go on."
        )
        row = QHBoxLayout()
        row.addWidget(self.next)
        row.addWidget(self.accept)
        self.second = QComboBox()
        for name, registered in get_plugins().contributions(Propagator).items():
            self.second.addItem(in_words(name), name)
            self.second.setItemData(
                self.second.count() - 1, registered.contribution.summary, Qt.ItemDataRole.ToolTipRole
            )
        self.second.setCurrentIndex(max(0, self.second.findData("inward")))
        # long names must not make the dock wide
        self.second.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.second.setToolTip("Another way than the masks were tracked in; Inward comes from both ends of the stack.")
        self.compare = button(
            "Compare",
            self.ask_second,
            "Track all objects once more in this way. No mask is changed; those on which the two ways differ are "
            "doubtful. It takes as long as tracking.",
        )
        opinion = QHBoxLayout()
        opinion.addWidget(QLabel("Second opinion"))
        opinion.addWidget(self.second, 1)
        opinion.addWidget(self.compare)
        layout = QVBoxLayout(self)
        layout.addWidget(self.left)
        layout.addWidget(self.list, 1)
        layout.addLayout(row)
        layout.addLayout(opinion)

    def go_on(self) -> None:
        """Look for the most doubtful masks, and show the first one that is not shown already."""
        queue = ReviewQueue(self._annotation.session)
        self._annotation.work.do(queue.ranked, then=self._ranked)

    def ask_second(self) -> None:
        """Have the objects tracked in another way, and list what looks wrong then."""
        self._annotation.compare(self.second.currentData(), then=lambda _: self.go_on())

    def accept_shown(self) -> None:
        """Lock the mask that is shown, and go on."""
        item = self._at
        if item is None:
            self._annotation.say("Go to a doubtful mask first.")
            return
        session = self._annotation.session
        self._at = None
        self._annotation.work.do(lambda: session.lock(item.object_id, item.frame))
        self.go_on()

    def _ranked(self, items: list[ReviewItem]) -> None:
        self.items = items[:SHOWN]
        self.left.setText(
            f"{len(items)} mask{'s' * (len(items) != 1)} to look at." if items else "No mask looks wrong."
        )
        self.list.clear()
        names = {row.id: row.name for row in self._annotation.rows}
        for item in self.items:
            why = ", ".join(sorted(item.reasons, key=lambda one: -item.reasons[one]))
            name = names.get(item.object_id, f"object {item.object_id}")
            where = self._annotation.placement.named(item.frame)
            self.list.addItem(QListWidgetItem(f"{name}, {where}: {why}"))
        if not items:
            self._at = None
            return
        shown = self._at
        keys = [(item.object_id, item.frame) for item in self.items]
        place = (
            keys.index((shown.object_id, shown.frame)) + 1 if shown and (shown.object_id, shown.frame) in keys else 0
        )
        self._show(self.items[place % len(self.items)])

    def _show(self, item: ReviewItem) -> None:
        self._at = item
        self.list.setCurrentRow(self.items.index(item))
        self._annotation.select(item.object_id)
        self._annotation.go_to_frame(item.frame)
