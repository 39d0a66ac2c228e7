"""What the review queue has to know of each mask, kept up to date, so that a listing reads only what has changed."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from sam2_core.session.items import Change, MaskRecord, MaskReference, presence_of
from sam2_core.session.mask_pixels import MaskPixels

if TYPE_CHECKING:
    from sam2_core.session.annotation_session import AnnotationSession

#: One row a mask. `box` is (x0, y0, x1, y1); `pixels` the number of its blob, -1 if it is empty; `sureness` the
#: predicted IoU times the probability of being there, NaN if nothing is said of it; `overlap` the share of it that
#: others cover too.
FACTS: Final = np.dtype(
    [
        ("object", np.int64),
        ("frame", np.int64),
        ("area", np.int64),
        ("box", np.int32, 4),
        ("pixels", np.int64),
        ("sureness", np.float64),
        ("is_trusted", np.bool_),
        ("overlap", np.float64),
        ("disagreement", np.float64),
    ]
)
NOTHING: Final = np.empty(0, FACTS)
#: Frames of which the masks are looked up one by one; of more all objects are gone through.
FEW_FRAMES: Final = 20
#: Masks that are compared with all others of a frame at once.
AT_ONCE: Final = 256


class MaskFacts:
    """A row of 73 bytes for each mask of a session; frames are read again once something on them has changed.

    Parameters
    ----------
    session : AnnotationSession
    """

    def __init__(self, session: AnnotationSession) -> None:
        self._session = session
        self._on_frame: dict[int, NDArray[Any]] = {}
        self._changed: set[int] = set(range(session.frame_count))
        self._every: NDArray[Any] | None = None
        self._lock = threading.Lock()
        session.changed.connect(self._note)

    def rows(self) -> NDArray[Any]:
        """All masks, by object and then by frame; do not change them.

        Returns
        -------
        ndarray, (mask,), of :data:`FACTS`
        """
        with self._lock:
            # what another process writes is not told of here
            again = set(range(self._session.frame_count)) if self._session.read_only else set(self._changed)
            # before anything is read, so that what changes meanwhile is read again the next time
            self._changed -= again
            try:
                for frame, rows in self._read(again).items():
                    self._overlaps(rows, self._on_frame.get(frame, NOTHING))
                    self._on_frame[frame] = rows
                    again.discard(frame)
                    self._every = None
            except BaseException:
                self._changed |= again
                raise
            if self._every is None:
                every = np.concatenate(list(self._on_frame.values()) or [NOTHING])
                self._every = every[np.lexsort((every["frame"], every["object"]))]
            return self._every

    def _note(self, change: Change) -> None:
        if change.what & {"mask", "disagreement"}:
            self._changed |= change.frames

    def _read(self, frames: set[int]) -> dict[int, NDArray[Any]]:
        """The rows of each frame, by object, without their overlaps."""
        session = self._session
        rows: dict[int, list[tuple[Any, ...]]] = {frame: [] for frame in sorted(frames)}
        if len(frames) <= FEW_FRAMES:
            for frame in frames:
                disagreements = session.disagreements_on(frame)
                for one, record in session.records_on(frame).items():
                    rows[frame].append(_row(one, frame, record, disagreements.get(one, 0.0)))
        else:
            # masks lie by object in the file
            for one in (each.id for each in session.objects):
                disagreements = session.disagreements(one)
                for frame, record in session.records(one).items():
                    if frame in rows:
                        rows[frame].append(_row(one, frame, record, disagreements.get(frame, 0.0)))
        return {frame: np.array(found, FACTS) for frame, found in rows.items()}

    def _overlaps(self, rows: NDArray[Any], before: NDArray[Any]) -> None:
        """Fill in the overlaps of a frame; masks in reach of none that has changed overlap as they did."""
        known, kept = {_key(row): row for row in before}, {_key(row) for row in rows}
        are_new = np.array([_key(row) not in known for row in rows], bool)
        gone = [row["box"] for key, row in known.items() if key not in kept]
        moved = np.array([*rows["box"][are_new], *gone], np.int32).reshape(-1, 4)
        read = cache(lambda place: self._session.pixels(_reference(rows[place])))
        for first in range(0, len(rows), AT_ONCE):
            some = rows[first : first + AT_ONCE]
            is_in_reach = are_new[first : first + AT_ONCE] | _meeting(some["box"], moved).any(axis=1)
            # most objects are nowhere near each other, and boxes tell without reading pixels
            near = _meeting(some["box"], rows["box"])
            for place, row in enumerate(some, start=first):
                if not is_in_reach[place - first]:
                    row["overlap"] = known[_key(row)]["overlap"]
                    continue
                others = [other for other in np.flatnonzero(near[place - first]).tolist() if other != place]
                if others:
                    row["overlap"] = _share(read(place), [read(other) for other in others])


def _row(object_id: int, frame: int, record: MaskRecord, disagreement: float) -> tuple[Any, ...]:
    pixels = -1 if record.mask.pixels is None else record.mask.pixels
    sureness = _sureness(record)
    return (object_id, frame, record.area, record.mask.box, pixels, sureness, record.is_trusted, 0.0, disagreement)


def _key(row: Any) -> tuple[int, int]:
    return int(row["object"]), int(row["pixels"])


def _reference(row: Any) -> MaskReference:
    x0, y0, x1, y1 = row["box"].tolist()
    return MaskReference((x0, y0, x1, y1), int(row["pixels"]))


def _share(own: MaskPixels, others: Sequence[MaskPixels]) -> float:
    """Share of a mask that others cover too."""
    theirs = np.zeros(own.inside.shape, bool)
    for other in others:
        theirs |= other.within(own.box)
    return float(np.count_nonzero(own.inside & theirs) / own.area)


def _meeting(some: NDArray[np.int32], others: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which boxes (A, 4) have a pixel in common with which others (B, 4): (A, B); empty ones have none."""
    x0, y0, x1, y1 = (some[:, None, side] for side in range(4))
    return np.asarray((others[:, 0] < x1) & (x0 < others[:, 2]) & (others[:, 1] < y1) & (y0 < others[:, 3]))


def _sureness(record: MaskRecord) -> float:
    if record.predicted_iou is None:
        return math.nan
    presence = presence_of(record.object_score)
    return record.predicted_iou * presence
