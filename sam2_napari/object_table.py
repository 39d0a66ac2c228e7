"""The table of objects."""

from __future__ import annotations

from typing import Any, Final

from qtpy.QtCore import QAbstractTableModel, QItemSelectionModel, QModelIndex, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QColorDialog, QHBoxLayout, QHeaderView, QTableView, QVBoxLayout, QWidget

from sam2_napari.annotation import Annotation
from sam2_napari.buttons import button
from sam2_napari.keys import key_of, with_key
from sam2_napari.object_rows import ObjectRow

SHOWN, LOCKED, COLOUR, NAME, CLASS, SCORE, FRAMES, FROM = range(8)
HEADERS: Final = ("Show", "Lock", "", "Name", "Class", "Score", "Frames", "From")
TIPS: Final = (
    "Shown",
    "The mask on this frame is locked",
    "Colour; double-click changes it",
    "Name",
    "Class, such as nucleus",
    "IoU that the model expects of the mask on this frame",
    "Frames on which it has a mask",
    "The cell that it came from when that divided",
)


class ObjectModel(QAbstractTableModel):
    """Objects as rows.

    Parameters
    ----------
    annotation : Annotation
    """

    def __init__(self, annotation: Annotation) -> None:
        super().__init__(annotation)
        self._annotation = annotation
        self.rows: list[ObjectRow] = []

    def show(self, rows: list[ObjectRow]) -> None:
        """Show these rows."""
        if [row.id for row in rows] == [row.id for row in self.rows]:
            before, self.rows = self.rows, rows
            for number, (old, new) in enumerate(zip(before, rows, strict=True)):
                if old != new:
                    self.dataChanged.emit(self.index(number, 0), self.index(number, FROM))
            return
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Number of objects."""
        return len(self.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Number of columns."""
        return len(HEADERS)

    def headerData(self, section: int, orientation: Any, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What heads a column."""
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return HEADERS[section]
            if role == Qt.ItemDataRole.ToolTipRole:
                return TIPS[section]
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a cell says."""
        row, column = self.rows[index.row()], index.column()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            score = "" if row.score is None else f"{row.score:.2f}"
            said = {
                NAME: row.name,
                CLASS: row.category,
                SCORE: score,
                FRAMES: str(row.frames),
                FROM: self._parents(row),
            }
            return said.get(column)
        if role == Qt.ItemDataRole.CheckStateRole and column in (SHOWN, LOCKED):
            is_on = row.id not in self._annotation.hidden if column == SHOWN else row.is_locked
            return Qt.CheckState.Checked if is_on else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.DecorationRole and column == COLOUR:
            return QColor(row.colour)
        if role == Qt.ItemDataRole.ToolTipRole and row.parents:
            return f"comes from {self._parents(row)}"
        return None

    def _parents(self, row: ObjectRow) -> str:
        names = {one.id: one.name for one in self.rows if one.id in row.parents}
        return ", ".join(names.get(parent, f"object {parent}") for parent in row.parents)

    def setData(self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Take what a person changed in a cell."""
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.CheckStateRole:
            is_on = Qt.CheckState(value) == Qt.CheckState.Checked
            if column == SHOWN:
                self._annotation.show_object(row.id, is_on)
            else:
                self._annotation.lock(row.id, is_on)
            return True
        if role == Qt.ItemDataRole.EditRole and column in (NAME, CLASS):
            self._annotation.change_object(row.id, **{"name" if column == NAME else "category": str(value)})
            return True
        return False

    def flags(self, index: QModelIndex) -> Any:
        """What can be done with a cell."""
        column, can = index.column(), Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if column == SHOWN or (column == LOCKED and self.rows[index.row()].is_here):
            can |= Qt.ItemFlag.ItemIsUserCheckable
        return can | Qt.ItemFlag.ItemIsEditable if column in (NAME, CLASS) else can


class ObjectTable(QWidget):
    """The table, and what can be done with the objects that are selected in it.

    Parameters
    ----------
    annotation : Annotation
    parent : QWidget, optional
    """

    def __init__(self, annotation: Annotation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._annotation = annotation
        self._is_showing = False
        self.model = ObjectModel(annotation)
        self.view = QTableView()
        self.view.setModel(self.model)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.view.verticalHeader().hide()
        self.view.setShowGrid(False)
        self.view.setMinimumHeight(130)
        header = self.view.horizontalHeader()
        header.setMinimumSectionSize(22)
        for column, width in ((SHOWN, 42), (LOCKED, 42), (COLOUR, 22), (SCORE, 46), (FRAMES, 54), (FROM, 62)):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            header.resizeSection(column, width)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(CLASS, QHeaderView.ResizeMode.Stretch)
        is_over_time = "t" in annotation.placement.along
        self.view.setColumnHidden(FROM, not is_over_time)
        if is_over_time:
            # names need the room that is left beside where objects come from
            header.setSectionResizeMode(CLASS, QHeaderView.ResizeMode.Fixed)
            header.resizeSection(CLASS, 42)
        self.view.doubleClicked.connect(self._double_clicked)
        self.view.selectionModel().selectionChanged.connect(self._selection_changed)

        self.merge = button(
            "Merge", lambda: annotation.merge_objects(self.selected), "Make one object of those selected."
        )
        self.split = button("Split", annotation.split_object, "Make an object of each part of the current one.")
        self.divide = button(
            with_key("Divides", key_of("divide")), annotation.mark_division, "It has two daughters now."
        )
        self.link = button(
            "Link",
            lambda: annotation.link_objects(self.selected),
            "Of the selected objects the one that is there first became the others.",
        )
        self.unlink = button(
            "Unlink",
            lambda: annotation.unlink_objects(self.selected),
            "Take away the links between the selected objects, or, of a single one, what it comes from.",
        )
        self.delete = button("Delete", lambda: annotation.delete_objects(self.selected), "Delete those selected.")
        actions = QHBoxLayout()
        for widget in (self.merge, self.split, self.divide, self.delete):
            actions.addWidget(widget)
        links = QHBoxLayout()
        for widget in (self.link, self.unlink):
            links.addWidget(widget)
            widget.setVisible(is_over_time)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view, 1)
        layout.addLayout(actions)
        layout.addLayout(links)
        annotation.rows_changed.connect(self._show)
        annotation.selected.connect(lambda _: self._select_current())

    @property
    def selected(self) -> list[int]:
        """The ids of the selected objects; the current one first."""
        rows = sorted({index.row() for index in self.view.selectionModel().selectedRows()})
        ids = [self.model.rows[row].id for row in rows]
        return sorted(ids, key=lambda one: one != self._annotation.current)

    def _show(self, rows: list[ObjectRow]) -> None:
        chosen = set(self.selected)
        self._is_showing = True
        try:
            self.model.show(rows)
            self._select({*chosen} or {self._annotation.current})
        finally:
            self._is_showing = False

    def _select_current(self) -> None:
        current = self._annotation.current
        if self._is_showing or current in self.selected:
            return
        self._is_showing = True
        try:
            self._select({current})
        finally:
            self._is_showing = False

    def _select(self, ids: set[int | None]) -> None:
        selection = self.view.selectionModel()
        wanted = [number for number, row in enumerate(self.model.rows) if row.id in ids]
        if wanted == sorted({index.row() for index in selection.selectedRows()}):
            return
        selection.clearSelection()
        flags = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
        for number in wanted:
            selection.select(self.model.index(number, 0), flags)
        if wanted:
            self.view.scrollTo(self.model.index(wanted[0], NAME))

    def _selection_changed(self, *_: Any) -> None:
        if self._is_showing:
            return
        index = self.view.selectionModel().currentIndex()
        chosen = self.selected
        if not chosen:
            self._annotation.select(None)
            return
        object_id = self.model.rows[index.row()].id if index.isValid() else chosen[0]
        object_id = object_id if object_id in chosen else chosen[0]
        self._is_showing = True
        try:
            self._annotation.select(object_id)
        finally:
            self._is_showing = False
        if len(chosen) == 1:
            self._annotation.go_to_object(object_id)

    def _double_clicked(self, index: QModelIndex) -> None:
        if index.column() == COLOUR:
            row = self.model.rows[index.row()]
            dialog = QColorDialog(QColor(row.colour), self)
            dialog.colorSelected.connect(
                lambda chosen, object_id=row.id: self._annotation.change_object(object_id, colour=chosen.name())
            )
            dialog.open()
