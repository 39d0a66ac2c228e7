"""PlaneLabels: the labels of one plane of any size, drawn band by band."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sam2_core.cli.prompts import MaskCrop
from sam2_core.hooks import FilterChain
from sam2_core.hooks.filter_chain import MARGIN

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

    def filtered(self, filters: FilterChain) -> PlaneLabels:
        """The same with every mask filtered."""

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

    def filtered(self, filters: FilterChain) -> DrawnLabels:
        """The same with every mask filtered."""
        return replace(self, labels=filters.apply_to_labels(self.labels))

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
    added : sequence of (int, MaskCrop)
        What filters added to objects: theirs only where no mask lies.
    """

    frame_size: tuple[int, int]
    scores: Sequence[ObjectScores]
    masks: Sequence[tuple[int, MaskCrop]]
    added: Sequence[tuple[int, MaskCrop]] = ()

    def filtered(self, filters: FilterChain) -> SparseLabels:
        """The same with every mask filtered."""
        if not filters:
            return self
        kept, added = [], []
        for object_id, mask in self.masks:
            window, before = mask.surroundings(MARGIN)
            after = filters.apply(before)
            place = (window[0].start, window[1].start, self.frame_size)
            kept += [(object_id, MaskCrop.of(part, *place)) for part in [before & after] if part.any()]
            added += [(object_id, MaskCrop.of(part, *place)) for part in [after & ~before] if part.any()]
        return replace(self, masks=kept, added=added)

    def rows(self, top: int, bottom: int) -> NDArray[np.int32]:
        """Labels of some rows."""
        labels = np.zeros((bottom - top, self.frame_size[1]), dtype=np.int32)
        for (object_id, mask), fills in [*((one, False) for one in self.masks), *((one, True) for one in self.added)]:
            left, first, right, last = mask.box
            shown = slice(max(top, first) - top, min(bottom, last) - top)
            if shown.start < shown.stop:
                part = mask.crop[max(top, first) - first : min(bottom, last) - first]
                place = labels[shown, left:right]
                place[part & (place == 0) if fills else part] = object_id
        return labels
