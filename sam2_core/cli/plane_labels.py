"""PlaneLabels: the labels of one plane of any size, drawn band by band."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sam2_core.cli.prompts import MaskCrop

#: Pixels that are drawn at a time.
BAND_PIXELS = 2**24


@dataclass(frozen=True)
class ObjectScores:
    """What the model says of an object.

    Attributes
    ----------
    object_id : int
    predicted_iou : float
        IoU it expects of the mask.
    object_score : float
        Probability that the object is there.
    """

    object_id: int
    predicted_iou: float
    object_score: float


class PlaneLabels(Protocol):
    """Labels of one plane, and what the model says of its objects."""

    @property
    def frame_size(self) -> tuple[int, int]:
        """(height, width)."""

    @property
    def scores(self) -> Sequence[ObjectScores]:
        """One for each object."""

    def rows(self, top: int, bottom: int) -> NDArray[np.int32]:
        """Labels of some rows: (bottom - top, width)."""


def bands(frame_size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """First row of each band of rows, and the one after its last."""
    height, width = frame_size
    step = max(1, BAND_PIXELS // width)
    return ((top, min(top + step, height)) for top in range(0, height, step))


@dataclass(frozen=True)
class DrawnLabels:
    """Labels that are in memory."""

    labels: NDArray[np.int32]
    scores: Sequence[ObjectScores]

    @property
    def frame_size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.labels.shape[0], self.labels.shape[1]

    def rows(self, top: int, bottom: int) -> NDArray[np.int32]:
        """Labels of some rows."""
        return self.labels[top:bottom]


@dataclass(frozen=True)
class SparseLabels:
    """Masks within their boxes, drawn where they are looked at.

    Attributes
    ----------
    frame_size : tuple of int
        (height, width).
    scores : sequence of ObjectScores
    masks : sequence of (int, MaskCrop)
        Object ids and masks; later ones lie on top.
    """

    frame_size: tuple[int, int]
    scores: Sequence[ObjectScores]
    masks: Sequence[tuple[int, MaskCrop]]

    def rows(self, top: int, bottom: int) -> NDArray[np.int32]:
        """Labels of some rows."""
        labels = np.zeros((bottom - top, self.frame_size[1]), dtype=np.int32)
        for object_id, mask in self.masks:
            left, first, right, last = mask.box
            shown = slice(max(top, first) - top, min(bottom, last) - top)
            if shown.start < shown.stop:
                part = mask.crop[max(top, first) - first : min(bottom, last) - first]
                labels[shown, left:right][part] = object_id
        return labels
