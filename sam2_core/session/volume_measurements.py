"""Objects of z-stacks measured as volumes, at each time."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from sam2_core.errors import InvalidInputError
from sam2_core.session.export import Measurement, csv_cells, measure

if TYPE_CHECKING:
    from sam2_core.session.annotation_session import AnnotationSession


@dataclass(frozen=True)
class VolumeMeasurement:
    """One object at one time, in voxels and in physical units.

    Attributes
    ----------
    object_id : int
    name, category : str
    t : int
        0 in a session over one z-stack.
    slices, locked_slices : int
        On how many it is, and how many of those are locked.
    voxels : int
    physical_volume : float
        In cubes of the stack's unit; as `voxels` where the scale is not known.
    z, y, x : float
        Centroid, in slices and pixels.
    mean_intensity : float
        Of the raw voxels under the masks, over all channels; NaN where it was not read.
    """

    object_id: int
    name: str
    category: str
    t: int
    slices: int
    locked_slices: int
    voxels: int
    physical_volume: float
    z: float
    y: float
    x: float
    mean_intensity: float


def measure_volumes(session: AnnotationSession, *, intensity: bool = True) -> Iterator[VolumeMeasurement]:
    """Measure every object at every time at which it has voxels, time after time; each frame is read once.

    Parameters
    ----------
    session : AnnotationSession
        Over a z-stack, or over z-stacks over time.
    intensity : bool
        Whether to read the frames for their intensities.

    Raises
    ------
    InvalidInputError
        The frames are not along z.
    """
    axis = session.stack.axis
    if axis not in ("z", "tz"):
        raise InvalidInputError(f"Volumes are measured along z, and this stack's frames are along {axis}.")
    depth = session.frame_count if session.grid is None else session.grid.sizes[1]
    step, row_step, column_step = session.stack.spacing
    filled = (one for one in measure(session, intensity=intensity) if one.area)
    for time, masks in groupby(filled, key=lambda one: one.frame // depth):
        by_object: dict[int, list[Measurement]] = {}
        for one in masks:
            by_object.setdefault(one.object_id, []).append(one)
        for object_id, slices in sorted(by_object.items()):
            voxels = sum(one.area for one in slices)

            def mean(values: Iterator[tuple[float, int]], count: int = voxels) -> float:
                return sum(value * area for value, area in values) / count

            yield VolumeMeasurement(
                object_id=object_id,
                name=slices[0].name,
                category=slices[0].category,
                t=time,
                slices=len(slices),
                locked_slices=sum(one.locked for one in slices),
                voxels=voxels,
                physical_volume=voxels * step * row_step * column_step,
                z=mean((one.frame % depth, one.area) for one in slices),
                y=mean((one.y, one.area) for one in slices),
                x=mean((one.x, one.area) for one in slices),
                mean_intensity=mean((one.mean_intensity, one.area) for one in slices),
            )


def write_volumes(session: AnnotationSession, path: Path | str, *, intensity: bool = True) -> None:
    """Write :func:`measure_volumes` as a CSV with a header; NaN is an empty cell."""
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in fields(VolumeMeasurement)])
        for one in measure_volumes(session, intensity=intensity):
            writer.writerow(csv_cells(one))
