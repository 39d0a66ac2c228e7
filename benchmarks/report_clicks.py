"""The measure of the mission: clicks, and minutes of compute, until a scripted annotator has cells to IoU 0.85.

The annotator works in a session as a person does: a click in the middle of each cell's middle slice, tracking both
ways, then corrections, each a click in the middle of the largest error of a slice, from which the cell is tracked on.
Where to look comes from the review queue (`review`), or is the first slice that is wrong (`in order`). The network sees
whole slices (`exact`), or crops that follow the cells (`crops`). The annotator knows the truth, but only to see whether
a slice is right and where it is not. On nuclei_3d and on a drawn stack of cells.
"""

from __future__ import annotations

import argparse
import itertools
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import record
import tifffile
import torch
from numpy.typing import NDArray
from scipy import ndimage

from sam2_core import load_model, open_volume
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.review import ReviewItem, ReviewQueue
from sam2_core.session.worker.model_choice import PREDICTOR_TARGET


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("work", nargs="*", default=["nuclei_3d", "drawn"], help="nuclei_3d, drawn")
    parser.add_argument("--ways", nargs="+", default=["review", "in order"], choices=["review", "in order"])
    parser.add_argument("--presets", nargs="+", default=["exact", "crops"], choices=["exact", "crops"])
    parser.add_argument("--model", default="sam2.1_hiera_micro", help="name or weights file")
    parser.add_argument("--image-size", type=int, help="side of the model's input")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--every", type=int, default=1, help="take each n-th cell only")
    parser.add_argument("--cells", type=int, default=200, help="of the drawn stack")
    parser.add_argument("--slices", type=int, default=30, help="of the drawn stack")
    parser.add_argument("--target", type=float, default=0.85, help="IoU at which a cell is done")
    parser.add_argument("--most", type=int, default=10, help="clicks for one cell at which the annotator gives up")
    return parser.parse_args()


def drawn(cells: int, slices: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Ellipsoids that do not touch, on a noisy ground."""
    random = np.random.default_rng(0)
    per_row = int(np.ceil(np.sqrt(cells)))
    side = per_row * 40
    labels = np.zeros((slices, side, side), np.uint16)
    z, y, x = np.mgrid[:slices, :side, :side].astype(np.float32)
    for number in range(cells):
        centre = (random.uniform(0.3, 0.7) * slices, number // per_row * 40 + 20, number % per_row * 40 + 20)
        radii = random.uniform((slices * 0.2, 9, 9), (slices * 0.4, 17, 17))
        near = (
            slice(None),
            slice(int(centre[1]) - 20, int(centre[1]) + 20),
            slice(int(centre[2]) - 20, int(centre[2]) + 20),
        )
        inside = sum(
            ((axis[near] - middle) / radius) ** 2 for axis, middle, radius in zip((z, y, x), centre, radii, strict=True)
        )
        labels[near][inside < 1] = number + 1
    image = 30 + 140 * ndimage.gaussian_filter((labels > 0).astype(np.float32), (0, 1.5, 1.5))
    return (image + random.normal(0, 12, image.shape)).clip(0, 255).astype(np.uint8), labels


def middle(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """The pixel (x, y) farthest from the border of a mask."""
    y, x = np.unravel_index(ndimage.distance_transform_edt(np.pad(mask, 1)).argmax(), np.add(mask.shape, 2))
    return float(x - 1), float(y - 1)


@dataclass
class Annotator:
    """Works on one session until all cells are right, or too many clicks were spent on them."""

    session: AnnotationSession
    truth: NDArray[Any]
    way: str
    target: float
    most: int
    clicks: dict[int, int] = field(default_factory=dict)
    cells: dict[int, int] = field(default_factory=dict)

    def begin(self, numbers: list[int]) -> None:
        """A click on each cell, from which it is tracked both ways."""
        for number in numbers:
            slices = np.flatnonzero((self.truth == number).any(axis=(1, 2)))
            frame = int(slices[len(slices) // 2])
            one = self.session.add_object().id
            self.session.add_points(one, frame, middle(self.truth[frame] == number))
            self.session.segment(one, frame)
            self.cells[one], self.clicks[one] = number, 1
        for _ in self.session.propagate():
            pass

    def correct(self) -> None:
        """Corrections, one cell after another."""
        for one in self.cells:
            while self.iou(one) < self.target and self.clicks[one] < self.most:
                frame = self.wrong_frame(one)
                if frame is None:
                    break
                wanted, found = self.truth[frame] == self.cells[one], self.session.mask(one, frame)
                errors = [(self.largest(wanted & ~found), 1), (self.largest(found & ~wanted), 0)]
                part, label = max(errors, key=lambda item: np.count_nonzero(item[0]))
                queue = ReviewQueue(self.session)
                queue.correct(ReviewItem(one, frame, 1.0, {}), middle(part), [label]).wait()
                self.clicks[one] += 1

    def wrong_frame(self, one: int) -> int | None:
        """Where to look next."""
        if self.way == "review":
            for item in ReviewQueue(self.session).ranked():
                if item.object_id == one and self.is_wrong(one, item.frame):
                    return item.frame
        return next((frame for frame in range(len(self.truth)) if self.is_wrong(one, frame)), None)

    def is_wrong(self, one: int, frame: int) -> bool:
        wanted, found = self.truth[frame] == self.cells[one], self.session.mask(one, frame)
        union = np.count_nonzero(wanted | found)
        return bool(union) and np.count_nonzero(wanted & found) / union < self.target

    def iou(self, one: int) -> float:
        both = union = 0
        for frame, wanted in enumerate(self.truth == self.cells[one]):
            found = self.session.mask(one, frame)
            both += np.count_nonzero(wanted & found)
            union += np.count_nonzero(wanted | found)
        return both / union

    @staticmethod
    def largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        parts, count = ndimage.label(mask)
        return np.asarray(parts == 1 + np.bincount(parts.ravel())[1:].argmax()) if count else mask


def main() -> None:
    options = arguments()
    model: Any = load_model(options.model, overrides=[PREDICTOR_TARGET], image_size=options.image_size)
    rows = []
    for name in options.work:
        if name == "drawn":
            image, labels = drawn(options.cells, options.slices)
        else:
            image, labels = (tifffile.imread(options.data / name / f"{part}.tif") for part in ("image", "labels"))
        numbers = [int(number) for number in np.unique(labels)[1 :: options.every]]
        for way, preset in itertools.product(options.ways, options.presets):
            start = time.perf_counter()
            with AnnotationSession.create(open_volume(image, axes="zyx").stack("z"), model=model) as session:
                session.preset = preset
                annotator = Annotator(session, labels, way, options.target, options.most)
                annotator.begin(numbers)
                first = [annotator.iou(one) for one in annotator.cells]
                annotator.correct()
                ious = [annotator.iou(one) for one in annotator.cells]
            rows.append(
                {
                    "stack": name,
                    "where to look": way,
                    "preset": preset,
                    "cells": len(numbers),
                    "clicks": sum(annotator.clicks.values()),
                    "minutes of compute": round((time.perf_counter() - start) / 60, 1),
                    "mean IoU after the first click": round(float(np.mean(first)), 3),
                    "mean IoU": round(float(np.mean(ious)), 3),
                    "cells done": int(sum(one >= options.target for one in ious)),
                }
            )
            print(rows[-1], flush=True)
    notes = {
        "model": f"{options.model}, {model.input_size[0]} px, {model.device}",
        "cells": "all" if options.every == 1 else f"each {options.every}th",
        "a cell is done at IoU": options.target,
        "given up after": f"{options.most} clicks",
        "threads": torch.get_num_threads(),
    }
    record.save("clicks", "Clicks until cells are right", rows, notes)


if __name__ == "__main__":
    main()
