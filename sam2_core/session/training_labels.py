"""A session's masks as labels to learn from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.session.items import MaskRecord
from sam2_core.volumes.labels.label_stack import LabelStack
from sam2_core.volumes.labels.layout import LabelLayout

if TYPE_CHECKING:
    from sam2_core.session.session_state import SessionState

#: Those that a person has accepted (they are locked), or all that are there.
LearnedMasks: TypeAlias = Literal["accepted", "all"]


class SessionLabels(LabelStack):
    """The masks as they are when this is made; what is changed meanwhile does not change them.

    Pixels are read from the session when they are asked for.

    Parameters
    ----------
    session : SessionState
    masks : mapping of int to mapping of int to MaskRecord
        By frame and object; other frames count as not labelled.
    name : str
    """

    def __init__(self, session: SessionState, masks: Mapping[int, Mapping[int, MaskRecord]], name: str) -> None:
        written = np.zeros(session.frame_count, np.bool_)
        written[list(masks)] = True
        largest = max((one for records in masks.values() for one in records), default=0)
        layout = LabelLayout(session.frame_count, session.frame_size, "frame", np.dtype(np.min_scalar_type(largest)))
        super().__init__(name, layout, written=written)
        self._session = session
        self._masks = masks

    def _read_pixels(self, index: int) -> NDArray[Any]:
        labels = np.zeros(self.frame_size, self.dtype)
        for object_id, record in self._masks.get(index, {}).items():
            pixels = self._session.pixels(record.mask)
            labels[pixels.window][pixels.inside] = object_id
        return labels


def labels_to_learn(
    session: SessionState, masks: LearnedMasks, frames: Iterable[int] | None, name: str
) -> SessionLabels:
    """Take a session's masks as labels.

    Parameters
    ----------
    session : SessionState
    masks : {"accepted", "all"}
    frames : iterable of int, optional
        All that have such masks by default.
    name : str
        What messages call the labels.

    Raises
    ------
    InvalidInputError
        `masks` is something else, or there is no such frame.
    StateError
        There are no such masks.
    """
    if masks not in ("accepted", "all"):
        raise InvalidInputError(f'masks is "accepted" or "all"; got {masks!r}.')
    wanted = None if frames is None else {session.checked_frame(frame) for frame in frames}
    found: dict[int, dict[int, MaskRecord]] = {}
    for one in session.objects:
        for frame, record in session.records(one.id).items():
            if record.area and (record.locked or masks == "all") and (wanted is None or frame in wanted):
                found.setdefault(frame, {})[one.id] = record
    if not found:
        which = "accepted masks" if masks == "accepted" else "masks"
        raise StateError(
            f"There are no {which} to learn from{'' if wanted is None else ' on these frames'}. "
            "Segment objects on two frames or more and accept them (they are locked then), or learn from all masks "
            '(masks="all").'
        )
    return SessionLabels(session, found, name)
