"""Which column of a table means what, by the names that people and programs give them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from sam2_core.cli.prompts.stack_geometry import StackGeometry
from sam2_core.errors import InvalidInputError

_OBJECT = ("id", "object", "object_id", "obj_id", "obj", "cell", "cell_id", "nucleus", "track", "track_id", "instance")
_FRAME = ("frame", "frame_index", "frame_idx", "frame_number")
_AXES = {
    "z": ("z", "z_index", "plane", "position_z"),
    "t": ("t", "t_index", "time", "time_index", "timepoint", "time_point", "position_t"),
}
_X = ("x", "x_px", "x_pixel", "x_center", "x_centre", "center_x", "centre_x", "centroid_x", "pos_x", "position_x")
_Y = ("y", "y_px", "y_pixel", "y_center", "y_centre", "center_y", "centre_y", "centroid_y", "pos_y", "position_y")
_LABEL = ("label", "labels", "point_label", "positive", "foreground")
_BOXES = (
    ("x0", "y0", "x1", "y1"),
    ("x1", "y1", "x2", "y2"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("min_x", "min_y", "max_x", "max_y"),
    ("left", "top", "right", "bottom"),
    ("bbox_1", "bbox_0", "bbox_3", "bbox_2"),
)
PIXEL_UNITS = frozenset({"", "px", "pixel", "pixels", "voxel", "voxels"})
SHAPE_COLUMNS = ("index", "shape_type", "vertex_index")
EXPECTED = (
    "x and y (a point) or x0, y0, x1 and y1 (a box), and where needed id, frame (or z or t) and label (1 object, 0 "
    "background)"
)


@dataclass(frozen=True)
class Column:
    """One column: its place, its name as written and as compared, and the unit written behind it in parentheses."""

    index: int
    written: str
    name: str
    unit: str = ""

    @classmethod
    def all_of(cls, header: Sequence[str]) -> list[Column]:
        """Every column of a header."""
        columns = []
        for index, text in enumerate(header):
            match = re.fullmatch(r"(?P<name>.*?)\s*(?:[(\[](?P<unit>[^)\]]*)[)\]])?\s*", text, re.DOTALL)
            name, unit = (match["name"], match["unit"] or "") if match else (text, "")
            columns.append(cls(index, text.strip(), re.sub(r"[\s.\-]+", "_", name.strip()).casefold(), unit.strip()))
        return columns

    @classmethod
    def named(cls, header: Sequence[str], name: str) -> Column:
        """The column of this (compared) name, which is known to exist."""
        return next(column for column in cls.all_of(header) if column.name == name)


@dataclass(frozen=True)
class Layout:
    """Where a table has what.

    Attributes
    ----------
    kind : str
        "own", "napari points", "napari shapes", "scikit-image", "TrackMate" or "ImageJ results".
    point : tuple of Column, optional
        x and y.
    box : tuple of Column, optional
        x0, y0, x1 and y1.
    object_id, frame, label : Column, optional
    first_frame : int
        What the first frame is called: 0 or 1.
    unit : str
        Of the positions; empty where none is written.
    fixed : tuple of Column
        Positions on other axes, which must be the same in all rows.
    """

    kind: str
    point: tuple[Column, ...] | None
    box: tuple[Column, ...] | None = None
    object_id: Column | None = None
    frame: Column | None = None
    label: Column | None = None
    first_frame: int = 0
    unit: str = ""
    fixed: tuple[Column, ...] = field(default=())


def layout_of(header: Sequence[str], name: str, geometry: StackGeometry) -> Layout:
    """Recognise a table by the names of its columns.

    Raises
    ------
    InvalidInputError
        Columns are missing, or two mean the same.
    """
    columns = _Columns(header, name)
    if columns.has(*SHAPE_COLUMNS, "axis_0", "axis_1"):
        return columns.by_position("napari shapes", "axis", geometry)
    if columns.has("axis_0", "axis_1"):
        return columns.by_position("napari points", "axis", geometry)
    if columns.has("centroid_0", "centroid_1"):
        return columns.by_position("scikit-image", "centroid", geometry)
    if columns.has("track_id", "position_x", "position_y"):
        return columns.trackmate(geometry)
    if header[0] == " " and columns.has("x", "y"):
        return columns.imagej(geometry)
    return columns.own(geometry)


class _Columns:
    """The columns of one table."""

    def __init__(self, header: Sequence[str], file_name: str) -> None:
        self._columns = Column.all_of(header)
        self._file_name = file_name

    def has(self, *names: str) -> bool:
        return set(names) <= {column.name for column in self._columns}

    def one_of(self, names: Sequence[str]) -> Column | None:
        found = [column for column in self._columns if column.name in names]
        if len(found) > 1:
            raise InvalidInputError(
                f"{self._file_name}: the columns {' and '.join(column.written for column in found)} mean the same; "
                "keep one of them."
            )
        return found[0] if found else None

    def together(self, names: Sequence[str]) -> tuple[Column, ...] | None:
        if not self.has(*names):
            return None
        return tuple(column for wanted in names if (column := self.one_of([wanted])) is not None)

    def own(self, geometry: StackGeometry) -> Layout:
        point_columns = [self.one_of(_X), self.one_of(_Y)]
        point = tuple(column for column in point_columns if column is not None)
        box = next((found for names in _BOXES if (found := self.together(names)) is not None), None)
        if len(point) != 2 and box is None:
            raise InvalidInputError(
                f"{self._file_name}: the columns for a position are missing. Expected {EXPECTED}; got "
                f"{', '.join(column.written for column in self._columns)}."
            )
        if self.has("slice"):
            raise InvalidInputError(
                f"{self._file_name}: a column named slice may count from 0 or from 1. Name it frame (or z or t) and "
                "count from 0."
            )
        written_units = {column.unit.casefold() for column in [*point, *(box or ())]}
        units = {"" if unit in PIXEL_UNITS else unit for unit in written_units}
        if len(units) > 1:
            raise InvalidInputError(f"{self._file_name}: the positions are in several units: {sorted(units)}.")
        frame, fixed = self._frame(geometry)
        return Layout(
            kind="own",
            point=point if len(point) == 2 else None,
            box=box,
            object_id=self.one_of(_OBJECT),
            frame=frame,
            label=self.one_of(_LABEL),
            unit=units.pop(),
            fixed=fixed,
        )

    def by_position(self, kind: str, prefix: str, geometry: StackGeometry) -> Layout:
        """Columns that are numbered in the order of the axes, of which the last two are y and x."""
        count = next(number for number in range(len(self._columns) + 1) if not self.has(f"{prefix}_{number}"))
        axes = self.together([f"{prefix}_{number}" for number in range(count)]) or ()
        frame, fixed = (axes[-3], axes[:-3]) if count > 2 else (None, ())
        if count > 3 and geometry.axis == "t":
            # time comes first wherever axes are named
            frame, fixed = axes[0], axes[1:-2]
        # scikit-image calls the id label, and names frames only by position
        object_id = self.one_of(("label", *_OBJECT)) if kind == "scikit-image" else self.one_of(_OBJECT)
        if count == 2:
            frame, fixed = self._frame(geometry)
        return Layout(kind=kind, point=(axes[-1], axes[-2]), object_id=object_id, frame=frame, fixed=tuple(fixed))

    def trackmate(self, geometry: StackGeometry) -> Layout:
        if geometry.axis == "z":
            raise InvalidInputError(
                f"{self._file_name} is a table of TrackMate, which tracks along t, but the frames of this stack are "
                "counted along z. Choose --axis t, or write a table with the columns id,z,x,y."
            )
        return Layout(
            kind="TrackMate",
            point=self.together(("position_x", "position_y")),
            object_id=self.one_of(("track_id",)),
            frame=self.one_of(("frame",)),
        )

    def imagej(self, geometry: StackGeometry) -> Layout:
        slices, frames = self.one_of(("slice",)), self.one_of(("frame",))
        frame, other = (frames, slices) if geometry.axis == "t" and frames else (slices or frames, None)
        if slices and frames and other is None:
            other = frames
        units = {column.unit for column in self.together(("x", "y")) or ()}
        return Layout(
            kind="ImageJ results",
            point=self.together(("x", "y")),
            frame=frame,
            first_frame=1,
            unit=units.pop() if len(units) == 1 else "",
            fixed=(other,) if other else (),
        )

    def _frame(self, geometry: StackGeometry) -> tuple[Column | None, tuple[Column, ...]]:
        """The column that says the frame, and those of other axes."""
        named = self.one_of(_FRAME)
        by_axis = {axis: column for axis, names in _AXES.items() if (column := self.one_of(names)) is not None}
        if named is not None:
            return named, tuple(by_axis.values()) if geometry.axis == "frame" else ()
        if geometry.axis in by_axis:
            return by_axis[geometry.axis], tuple(column for axis, column in by_axis.items() if axis != geometry.axis)
        if len(by_axis) > 1:
            raise InvalidInputError(
                f"{self._file_name}: the columns {' and '.join(column.written for column in by_axis.values())} both "
                "may be the frame. Name it frame, or choose the stack's --axis."
            )
        if geometry.axis in _AXES and by_axis:
            (axis,) = by_axis
            raise InvalidInputError(
                f"{self._file_name} counts along {axis}, but the frames of this stack are counted along "
                f"{geometry.axis}. Choose --axis {axis}, or rename the column to frame."
            )
        return next(iter(by_axis.values()), None), ()
