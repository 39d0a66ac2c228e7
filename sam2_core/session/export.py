"""A session's masks as files that other software reads."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sam2_core.hooks import FilterChain
from sam2_core.session.session_state import Priority
from sam2_core.volumes.labels import open_label_writer
from sam2_core.volumes.labels.formats import format_named, format_of_destination
from sam2_core.volumes.labels.label_place import LabelPlace
from sam2_core.volumes.labels.ngff import multiscale

if TYPE_CHECKING:
    from sam2_core.session.annotation_session import AnnotationSession
    from sam2_core.volumes.frame_stack import FrameStack


def export_labels(
    session: AnnotationSession,
    destination: Path | str,
    *,
    format: str | None = None,
    priority: Priority | Sequence[int] = "surest",
    frames: Iterable[int] | None = None,
    filters: Iterable[str] = (),
    at: Mapping[str, int] | None = None,
    overwrite: bool = False,
) -> Iterator[int]:
    """Write a session's objects as labels, frame by frame.

    Parameters
    ----------
    session : AnnotationSession
    destination : path
        Its name says the format, see :func:`sam2_core.volumes.labels.open_label_writer`.
    format : str, optional
        "tiff", "ome-zarr", "png", "ctc", "coco" or "imagej-roi".
    priority : str or sequence of int
        Who gets a pixel that several objects cover, see :meth:`AnnotationSession.labels`.
    frames : iterable of int, optional
        Only these; the others stay background.
    filters : iterable of str
        Names of mask filters, with options as in ``"remove-small:min_area=50"``; the session's own masks stay as they
        are.
    at : mapping of str to int, optional
        Where the frames belong on further axes of an image in whose OME-Zarr the labels go, or at which time of a Cell
        Tracking Challenge folder; by default where the stack lies in its volume.
    overwrite : bool
        Replace what is there.

    Yields
    ------
    int
        Each frame, once it is written. The file is finished when the iterator is.

    Raises
    ------
    DestinationExistsError, InvalidInputError, WriteError
        As for :func:`open_label_writer`.
    """
    chain = FilterChain.of(filters)
    objects = session.objects
    stack = session.stack
    metadata: dict[str, Any] = {
        "properties": {
            one.id: {"name": one.name, "colour": one.colour, **({"class": one.category} if one.category else {})}
            for one in objects
        },
        # the formats know of one parent an object
        "parents": {one.id: one.parents[0] for one in objects if one.parents},
    }
    writer = open_label_writer(
        destination,
        length=session.frame_count,
        frame_size=session.frame_size,
        axis=stack.axis,
        format=format,
        spacing=stack.spacing,
        unit=stack.spacing_unit,
        at=_place(stack, destination, format) if at is None else at,
        overwrite=overwrite,
        metadata=metadata,
        grid=stack.grid,
    )
    with writer:
        for frame in range(session.frame_count) if frames is None else frames:
            labels = session.labels(frame, priority=priority)
            writer.write(session.checked_frame(frame), chain.apply_to_labels(labels))
            yield frame


def _place(stack: FrameStack, destination: Path | str, format: str | None) -> dict[str, int]:
    """Where a stack lies on the other axes of the image in whose store its labels go; empty for other places."""
    kind = format_of_destination(str(destination)) if format is None else format_named(format)
    if not stack.fixed or kind.contribution.name != "ome-zarr":
        return {}
    place = LabelPlace.parsed(destination)
    root = None if place.name is None else place.group("")
    image = None if root is None else multiscale(root, place.store)
    return {} if image is None else {axis: one for axis, one in stack.fixed.items() if axis in image.letters}


@dataclass(frozen=True)
class Measurement:
    """One object on one frame, in pixels and in physical units.

    Attributes
    ----------
    object_id, frame : int
    name, category, source : str
    locked : bool
    area : int
        Pixels.
    physical_area : float
        In squares of the stack's unit; as `area` where the scale is not known.
    y, x : float
        Centroid in pixels.
    mean_intensity : float
        Of the raw pixels under the mask, over all channels; NaN for an empty mask.
    predicted_iou, object_score : float
        NaN where the model said nothing.
    """

    object_id: int
    name: str
    category: str
    frame: int
    source: str
    locked: bool
    area: int
    physical_area: float
    y: float
    x: float
    mean_intensity: float
    predicted_iou: float
    object_score: float


def measure(session: AnnotationSession, *, intensity: bool = True) -> Iterator[Measurement]:
    """Measure every mask, frame after frame; each frame is read once.

    Parameters
    ----------
    session : AnnotationSession
    intensity : bool
        Whether to read the frames for their intensities.
    """
    objects = {one.id: one for one in session.objects}
    _, row_step, column_step = session.stack.spacing
    for frame in range(session.frame_count):
        records = session.records_on(frame)
        raw = session.stack.read_raw(frame) if intensity and any(one.area for one in records.values()) else None
        for object_id, record in records.items():
            pixels = session.pixels(record.mask)
            rows, columns = np.nonzero(pixels.inside)
            is_there = len(rows) > 0
            yield Measurement(
                object_id=object_id,
                name=objects[object_id].name,
                category=objects[object_id].category,
                frame=frame,
                source=record.source,
                locked=record.locked,
                area=record.area,
                physical_area=record.area * row_step * column_step,
                y=float(rows.mean()) + record.mask.box[1] if is_there else math.nan,
                x=float(columns.mean()) + record.mask.box[0] if is_there else math.nan,
                mean_intensity=float(raw[pixels.window][pixels.inside].mean())
                if raw is not None and is_there
                else math.nan,
                predicted_iou=math.nan if record.predicted_iou is None else record.predicted_iou,
                object_score=math.nan if record.object_score is None else record.object_score,
            )


def csv_cells(row: Any) -> list[Any]:
    """The values of a dataclass as a row of a CSV file: NaN is an empty cell."""
    return ["" if isinstance(value, float) and math.isnan(value) else value for value in astuple(row)]


def write_measurements(session: AnnotationSession, path: Path | str, *, intensity: bool = True) -> None:
    """Write :func:`measure` as a CSV with a header; NaN is an empty cell.

    In a stack along two axes the position on each of them follows the frame, in columns of their names.
    """
    names = [field.name for field in fields(Measurement)]
    place = names.index("frame") + 1
    axes = "" if session.grid is None else session.grid.axes
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*names[:place], *axes, *names[place:]])
        for one in measure(session, intensity=intensity):
            cells = csv_cells(one)
            cells[place:place] = [session.position(one.frame)[axis] for axis in axes]
            writer.writerow(cells)
