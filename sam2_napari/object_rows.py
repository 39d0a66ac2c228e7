"""What the table says of each object, read from a session without counting anything twice."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sam2_core.session.items import Change
    from sam2_core.session.session_state import SessionState


@dataclass(frozen=True)
class ObjectRow:
    """One object.

    Attributes
    ----------
    id : int
    name, colour, category : str
    parents : tuple of int
    frames : int
        On how many frames it has a mask.
    score : float, optional
        IoU that the model expects of its mask on the current frame.
    is_here, is_locked : bool
        Whether it has a mask on the current frame, and whether that is locked.
    """

    id: int
    name: str
    colour: str
    category: str
    parents: tuple[int, ...]
    frames: int
    score: float | None
    is_here: bool
    is_locked: bool


class ObjectRows:
    """Reads rows; only of objects that changed are the frames counted again.

    Parameters
    ----------
    session : SessionState
    """

    def __init__(self, session: SessionState) -> None:
        self._session = session
        self._counts: dict[int, int] = {}
        self._outdated: set[int] = set()
        self._lock = threading.Lock()

    def outdate(self, change: Change) -> None:
        """Count again what a change concerns; from any thread."""
        if change.what & {"mask", "object"}:
            with self._lock:
                self._outdated |= change.objects

    def read(self, frame: int | None) -> list[ObjectRow]:
        """All objects, by id; `frame` is the current one, None if the viewer shows none of the session's."""
        # what changes while it is read stays outdated for the next time
        with self._lock:
            outdated, self._outdated = self._outdated, set()
        for object_id in outdated:
            self._counts.pop(object_id, None)
        here = {} if frame is None else self._session.records_on(frame)
        rows = []
        for one in self._session.objects:
            count = self._counts.get(one.id)
            if count is None:
                count = self._counts[one.id] = len(self._session.masked_frames(one.id))
            record = here.get(one.id)
            rows.append(
                ObjectRow(
                    one.id,
                    one.name,
                    one.colour,
                    one.category,
                    one.parents,
                    count,
                    None if record is None else record.predicted_iou,
                    record is not None and record.area > 0,
                    record is not None and record.locked,
                )
            )
        return rows
