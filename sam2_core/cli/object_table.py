"""The table of objects: one row each, and one row for each object and frame."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_OBJECT_COLUMNS = (
    "id",
    "frames",
    "first_frame",
    "last_frame",
    "area",
    "predicted_iou",
    "object_score",
    "x0",
    "y0",
    "x1",
    "y1",
)
_FRAME_COLUMNS = ("id", "frame", "area", "predicted_iou", "object_score", "x0", "y0", "x1", "y1")


@dataclass(frozen=True)
class ObjectOnFrame:
    """What was found of one object on one frame.

    Attributes
    ----------
    object_id, frame : int
    area : int
        Pixels in the label picture.
    box : tuple of int
        (x0, y0, x1, y1) in pixels; x1 and y1 are the first ones outside, so that x1 - x0 is the width.
    predicted_iou : float
        IoU the model expects of the mask, about 0 to 1; NaN where it gave none.
    object_score : float
        Logit of the object being there: above 0 it is; NaN where the model gave none.
    """

    object_id: int
    frame: int
    area: int
    box: tuple[int, int, int, int]
    predicted_iou: float
    object_score: float


class ObjectTable:
    """Collects scores as masks come in, and areas and boxes from the finished labels."""

    def __init__(self) -> None:
        self._scores: dict[tuple[int, int], tuple[float, float]] = {}
        self._rows: list[ObjectOnFrame] = []

    def score(self, frame: int, object_id: int, predicted_iou: float, object_score: float) -> None:
        """Note what the model says of an object on a frame; a later note replaces an earlier one."""
        self._scores[frame, object_id] = (predicted_iou, object_score)

    def measure(self, frame: int, labels: NDArray[np.integer]) -> None:
        """Measure all objects in the labels (y, x) of one frame."""
        areas = np.bincount(labels.reshape(-1))
        for object_id, slices in enumerate(ndimage.find_objects(labels.astype(np.int32)), start=1):
            if slices is None:
                continue
            rows, columns = slices
            predicted_iou, object_score = self._scores.get((frame, object_id), (float("nan"), float("nan")))
            self._rows.append(
                ObjectOnFrame(
                    object_id=object_id,
                    frame=frame,
                    area=int(areas[object_id]),
                    box=(columns.start, rows.start, columns.stop, rows.stop),
                    predicted_iou=predicted_iou,
                    object_score=object_score,
                )
            )

    @property
    def rows(self) -> list[ObjectOnFrame]:
        """Everything measured, by object and frame."""
        return sorted(self._rows, key=lambda row: (row.object_id, row.frame))

    def write_objects(self, path: Path, object_ids: Iterable[int]) -> None:
        """Write one row an object: areas added up, scores averaged over its frames, the box around all of it.

        An object without a single pixel has its row too, with area 0.
        """
        by_object: dict[int, list[ObjectOnFrame]] = {object_id: [] for object_id in object_ids}
        for row in self.rows:
            by_object.setdefault(row.object_id, []).append(row)
        lines: list[Sequence[object]] = []
        for object_id, rows in sorted(by_object.items()):
            if not rows:
                lines.append((object_id, 0, "", "", 0, "", "", "", "", "", ""))
                continue
            boxes = np.array([row.box for row in rows])
            lines.append(
                (
                    object_id,
                    len(rows),
                    rows[0].frame,
                    rows[-1].frame,
                    sum(row.area for row in rows),
                    _rounded(_mean(row.predicted_iou for row in rows)),
                    _rounded(_mean(row.object_score for row in rows)),
                    *boxes[:, :2].min(axis=0).tolist(),
                    *boxes[:, 2:].max(axis=0).tolist(),
                )
            )
        _write(path, _OBJECT_COLUMNS, lines)

    def write_frames(self, path: Path) -> None:
        """Write one row for each object and frame."""
        lines = [
            (row.object_id, row.frame, row.area, _rounded(row.predicted_iou), _rounded(row.object_score), *row.box)
            for row in self.rows
        ]
        _write(path, _FRAME_COLUMNS, lines)


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _rounded(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.4f}"


def _write(path: Path, columns: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(lines)
