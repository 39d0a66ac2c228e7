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
_SCORES = np.dtype([("id", np.uint32), ("predicted_iou", np.float32), ("object_score", np.float32)])
_MEASURES = np.dtype([("id", np.uint32), ("area", np.uint64), ("box", np.uint32, 4)])


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
        Probability that the object is there, 0 to 1; NaN where the model gave none.
    """

    object_id: int
    frame: int
    area: int
    box: tuple[int, int, int, int]
    predicted_iou: float
    object_score: float


class ObjectTable:
    """Collects scores as masks come in, and areas and boxes from the finished labels.

    Some forty bytes for each object and frame, so that hundreds of objects in thousands of frames have room.
    """

    def __init__(self) -> None:
        self._scores: dict[int, NDArray[np.void]] = {}
        self._measures: dict[int, NDArray[np.void]] = {}

    def score(
        self, frame: int, object_ids: Sequence[int], predicted_ious: Sequence[float], object_scores: Sequence[float]
    ) -> None:
        """Note what the model says of objects on a frame; a later note replaces an earlier one of the same object."""
        added = np.empty(len(object_ids), _SCORES)
        added["id"], added["predicted_iou"], added["object_score"] = object_ids, predicted_ious, object_scores
        if frame in self._scores:
            earlier = self._scores[frame]
            added = np.concatenate([earlier[~np.isin(earlier["id"], added["id"])], added])
        self._scores[frame] = added

    def scores(self, frame: int) -> dict[int, tuple[float, float]]:
        """Predicted IoU and object score of each object noted on a frame."""
        noted = self._scores.get(frame, np.empty(0, _SCORES))
        return {int(one): (float(iou), float(score)) for one, iou, score in noted}

    def measure(self, frame: int, labels: NDArray[np.integer], top: int = 0) -> None:
        """Measure all objects in the labels (y, x) of one frame, or of a band of its rows that begins with `top`."""
        areas = np.bincount(labels.reshape(-1))
        rows = []
        for object_id, slices in enumerate(ndimage.find_objects(labels.astype(np.int32, copy=False)), start=1):
            if slices is not None:
                ys, xs = slices
                rows.append((object_id, areas[object_id], (xs.start, ys.start + top, xs.stop, ys.stop + top)))
        measured = np.array(rows, _MEASURES)
        self._measures[frame] = _joined(self._measures[frame], measured) if frame in self._measures else measured

    @property
    def rows(self) -> list[ObjectOnFrame]:
        """Everything measured, by object and frame."""
        rows = []
        for frame, measured in self._measures.items():
            scores = self.scores(frame)
            for object_id, area, (x0, y0, x1, y1) in measured.tolist():
                predicted_iou, object_score = scores.get(object_id, (float("nan"), float("nan")))
                rows.append(ObjectOnFrame(object_id, frame, area, (x0, y0, x1, y1), predicted_iou, object_score))
        return sorted(rows, key=lambda row: (row.object_id, row.frame))

    def frames_by_object(self, object_ids: Iterable[int]) -> dict[int, list[int]]:
        """The frames on which each object was measured, in order."""
        found: dict[int, list[int]] = {object_id: [] for object_id in object_ids}
        for row in self.rows:
            found.setdefault(row.object_id, []).append(row.frame)
        return found

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


def _joined(before: NDArray[np.void], added: NDArray[np.void]) -> NDArray[np.void]:
    """Measures of two parts of a frame as one: areas added up, boxes joined."""
    found = {object_id: (area, box) for object_id, area, box in before.tolist()}
    for object_id, area, (x0, y0, x1, y1) in added.tolist():
        if object_id in found:
            earlier_area, (left, top, right, bottom) = found[object_id]
            area += earlier_area
            x0, y0, x1, y1 = min(x0, left), min(y0, top), max(x1, right), max(y1, bottom)
        found[object_id] = (area, (x0, y0, x1, y1))
    return np.array([(object_id, area, tuple(box)) for object_id, (area, box) in sorted(found.items())], _MEASURES)


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
