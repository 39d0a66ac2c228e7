"""Tables of prompts: our own columns, and those that napari, scikit-image, TrackMate and ImageJ write."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sam2_core.cli.prompts.stack_geometry import StackGeometry
from sam2_core.cli.prompts.table_layout import PIXEL_UNITS, SHAPE_COLUMNS, Column, Layout, layout_of
from sam2_core.cli.prompts.written import WrittenPrompt
from sam2_core.errors import InvalidInputError

_FOREGROUND = {"1", "1.0", "true", "yes", "+", "object", "foreground", "positive", "fg", "pos"}
_BACKGROUND = {"0", "0.0", "false", "no", "-", "background", "negative", "bg", "neg"}
#: Metres in the units that microscopes write.
_METRES = {
    "m": 1.0,
    "mm": 1e-3,
    "millimeter": 1e-3,
    "millimetre": 1e-3,
    "um": 1e-6,
    "µm": 1e-6,
    "μm": 1e-6,
    "micron": 1e-6,
    "microns": 1e-6,
    "micrometer": 1e-6,
    "micrometre": 1e-6,
    "nm": 1e-9,
    "nanometer": 1e-9,
    "nanometre": 1e-9,
}


@dataclass(frozen=True)
class _Row:
    """One line of the table."""

    line: int
    cells: list[str]


def read_table(text: str, name: str, geometry: StackGeometry) -> list[WrittenPrompt]:
    """Read prompts from a table whose first line names the columns.

    Our own columns, in any order, capitals or not, separated by comma, semicolon or tab:

    - ``x``, ``y`` for a point, ``x0``, ``y0``, ``x1``, ``y1`` for a box, in pixels; a line may fill either;
    - ``id`` (or ``object``, ``track_id``, …): lines of one id mean one object; without it each line is a new one;
    - ``frame``, or ``z`` or ``t``: from 0;
    - ``label``: 1 on the object (the default), 0 background.

    Also understood: what napari saves of a Points layer (``index, axis-0, axis-1, …``: positions in the order of the
    axes, the last two being y and x) and of rectangles in a Shapes layer; ``centroid-0, centroid-1, …`` and ``bbox-…``
    of scikit-image; the spots table of TrackMate (one object a track, units converted by the stack's pixel size); and
    the Results table of ImageJ, whose slices count from 1, where the stack has no other scale than pixels.

    Parameters
    ----------
    text : str
    name : str
        Of the file, for messages.
    geometry : StackGeometry
        The stack that the prompts are for.

    Raises
    ------
    InvalidInputError
        A column is missing or ambiguous, or a cell cannot be understood; the message names the line.
    """
    header, rows = _split(text, name)
    layout = layout_of(header, name, geometry)
    if layout.kind == "napari shapes":
        return list(_shapes(rows, header, layout, name))
    rows, unit = _without_subheaders(rows, layout)
    if not rows:
        raise InvalidInputError(f"{name} holds no prompts: there is no line below the names of the columns.")
    scale_x, scale_y = _pixels_per_unit(unit or layout.unit, layout, name, geometry)
    _require_constant(rows, layout, name)
    # TrackMate counts tracks from 0, and 0 is the background of a label stack
    shift = int(layout.kind == "TrackMate")
    written: list[WrittenPrompt] = []
    for row in rows:
        reader = _Cells(row, name)
        object_id = reader.whole(layout.object_id)
        frame = reader.whole(layout.frame, is_rounded=layout.kind == "napari points")
        point = reader.numbers(layout.point, "a point")
        box = reader.numbers(layout.box, "a box")
        if point is None and box is None:
            wanted = " or ".join(
                ",".join(column.written for column in columns) for columns in (layout.point, layout.box) if columns
            )
            raise InvalidInputError(f"{reader.origin}: no position. Expected numbers in the columns {wanted}.")
        if frame is not None:
            frame -= layout.first_frame
            if frame < 0:
                raise InvalidInputError(
                    f"{reader.origin}: frame {frame + layout.first_frame}; frames count from {layout.first_frame} here."
                )
        for numbers in (point, box):
            if numbers is None:
                continue
            scaled = tuple(value * (scale_y if index % 2 else scale_x) for index, value in enumerate(numbers))
            is_point = len(numbers) == 2
            written.append(
                WrittenPrompt(
                    numbers=scaled,
                    object_id=None if object_id is None else object_id + shift,
                    frame=frame,
                    label=reader.label(layout.label) if is_point else 1,
                    text=",".join(f"{value:g}" for value in scaled),
                    origin=reader.origin,
                )
            )
    return written


class _Cells:
    """The cells of one line as numbers."""

    def __init__(self, row: _Row, name: str) -> None:
        self._row = row
        self.origin = f"{name}, line {row.line}"

    def text(self, column: Column | None) -> str:
        if column is None or column.index >= len(self._row.cells):
            return ""
        return self._row.cells[column.index].strip()

    def number(self, column: Column) -> float | None:
        text = self.text(column)
        if not text:
            return None
        value = _number(text)
        if value is None:
            raise InvalidInputError(f"{self.origin}: {text!r} in column {column.written} is not a number.")
        return value

    def whole(self, column: Column | None, *, is_rounded: bool = False) -> int | None:
        value = None if column is None else self.number(column)
        if column is None or value is None:
            return None
        if not is_rounded and value != round(value):
            raise InvalidInputError(f"{self.origin}: {value:g} in column {column.written} must be a whole number.")
        return round(value)

    def numbers(self, columns: Sequence[Column] | None, what: str) -> tuple[float, ...] | None:
        if columns is None:
            return None
        values = [self.number(column) for column in columns]
        if all(value is None for value in values):
            return None
        missing = [column.written for column, value in zip(columns, values, strict=True) if value is None]
        if missing:
            raise InvalidInputError(f"{self.origin}: {what} needs a number in column {', '.join(missing)} too.")
        return tuple(value for value in values if value is not None)

    def label(self, column: Column | None) -> int:
        text = self.text(column).casefold()
        if column is None or not text or text in _FOREGROUND:
            return 1
        if text in _BACKGROUND:
            return 0
        raise InvalidInputError(
            f"{self.origin}: {text!r} in column {column.written} must be 1 (on the object) or 0 (background). Ids "
            "belong into a column named id."
        )


def _split(text: str, name: str) -> tuple[list[str], list[_Row]]:
    lines = text.splitlines()
    first = next(number for number, line in enumerate(lines) if line.strip())
    delimiter = max(",;\t", key=lines[first].count)
    reader = csv.reader(lines[first:], delimiter=delimiter)
    try:
        header = next(reader)
        rows = [
            _Row(first + reader.line_num, [_point_decimal(cell) for cell in cells] if delimiter == ";" else cells)
            for cells in reader
            if any(cell.strip() for cell in cells) and not cells[0].lstrip().startswith("#")
        ]
    except csv.Error as error:
        raise InvalidInputError(
            f"{name}, line {first + reader.line_num}: cannot be read as a table: {error}."
        ) from error
    if all(_number(cell) is not None for cell in header):
        raise InvalidInputError(
            f"{name}, line {first + 1} holds numbers; the first line of a table names its columns, such as "
            "id,frame,x,y,label or id,frame,x0,y0,x1,y1."
        )
    for row in rows:
        if len(row.cells) > len(header) and any(cell.strip() for cell in row.cells[len(header) :]):
            raise InvalidInputError(
                f"{name}, line {row.line} has {len(row.cells)} cells, but there are {len(header)} columns."
            )
    return header, rows


def _point_decimal(cell: str) -> str:
    """A number as written where the comma is the decimal sign, and columns are therefore separated by semicolons."""
    return cell.replace(",", ".") if re.fullmatch(r"\s*[+-]?\d*,\d+\s*", cell) else cell


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _without_subheaders(rows: list[_Row], layout: Layout) -> tuple[list[_Row], str]:
    """Leave out the second to fourth header line of TrackMate, the last of which names units."""
    if layout.kind != "TrackMate" or layout.point is None:
        return rows, ""
    column, unit = layout.point[0].index, ""
    while rows and (column >= len(rows[0].cells) or _number(rows[0].cells[column]) is None):
        unit = rows[0].cells[column].strip(" ()") if column < len(rows[0].cells) else ""
        rows = rows[1:]
    return rows, unit


def _pixels_per_unit(unit: str, layout: Layout, name: str, geometry: StackGeometry) -> tuple[float, float]:
    """What x and y have to be multiplied by to become pixels."""
    known = unit.casefold()
    if layout.kind == "ImageJ results" and not known and geometry.is_scaled:
        raise InvalidInputError(
            f"{name} is a results table of ImageJ, which does not say whether X and Y are pixels or "
            f"{geometry.unit or 'units'}, and the stack has both. Rename its columns to 'X (px)', 'Y (px)' or "
            "'X (um)', 'Y (um)'."
        )
    if known in PIXEL_UNITS:
        return 1.0, 1.0
    if known not in _METRES:
        raise InvalidInputError(
            f"{name}: the positions are in {unit!r}, which is not known. Expected px, nm, um or mm; export positions "
            "in pixels."
        )
    stack_unit = geometry.unit.casefold()
    if not geometry.is_scaled or (stack_unit and stack_unit not in _METRES):
        raise InvalidInputError(
            f"{name}: the positions are in {unit}, but the pixel size of the stack is not known, so they cannot be "
            "turned into pixels. Export positions in pixels, or give the pixel size with --scale."
        )
    factor = _METRES[known] / _METRES[stack_unit or known]
    return factor / geometry.spacing[2], factor / geometry.spacing[1]


def _require_constant(rows: Sequence[_Row], layout: Layout, name: str) -> None:
    """Refuse rows from several positions along an axis that the stack does not run along."""
    for column in layout.fixed:
        values: dict[str, int] = {}
        for row in rows:
            values.setdefault(_Cells(row, name).text(column), row.line)
        if len(values) > 1:
            line = sorted(values.values())[1]
            raise InvalidInputError(
                f"{name}, line {line}: column {column.written} changes, but the frames of this stack are counted along "
                f"another axis ({layout.frame.written if layout.frame else 'none of the columns'}). Keep the rows of "
                "one position only."
            )


def _shapes(rows: Sequence[_Row], header: Sequence[str], layout: Layout, name: str) -> Iterator[WrittenPrompt]:
    """One box for each rectangle or ellipse, whose vertices are a line each."""
    index, shape_type = (Column.named(header, wanted) for wanted in SHAPE_COLUMNS[:2])
    shapes: dict[str, list[_Row]] = {}
    for row in rows:
        shapes.setdefault(_Cells(row, name).text(index), []).append(row)
    for vertices in shapes.values():
        first = _Cells(vertices[0], name)
        kind = first.text(shape_type)
        if kind not in ("rectangle", "ellipse"):
            raise InvalidInputError(
                f"{first.origin}: a {kind} of a Shapes layer is no prompt; draw rectangles around objects, or use a "
                "Labels layer with --prompts-from-labels."
            )
        readers = [_Cells(row, name) for row in vertices]
        corners = [corner for reader in readers if (corner := reader.numbers(layout.point, "a vertex")) is not None]
        frames = {reader.whole(layout.frame, is_rounded=True) for reader in readers}
        if len(corners) != len(vertices) or len(frames) != 1:
            raise InvalidInputError(f"{first.origin}: the vertices of a rectangle must lie on one frame.")
        xs, ys = [corner[0] for corner in corners], [corner[1] for corner in corners]
        box = (min(xs), min(ys), max(xs), max(ys))
        text = ",".join(f"{value:g}" for value in box)
        yield WrittenPrompt(numbers=box, frame=frames.pop(), text=text, origin=first.origin)
