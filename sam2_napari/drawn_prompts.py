"""From a drawing to prompts of a session, until the session does that itself (``AnnotationSession.add_drawn``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import StateError
from sam2_core.hooks import Drawn, ObjectPrompt, prompts_of

if TYPE_CHECKING:
    from sam2_core.session.annotation_session import AnnotationSession


class SessionContext:
    """What a prompt type may ask of a session."""

    def __init__(self, session: AnnotationSession, object_id: int | None, frame: int) -> None:
        self._session = session
        self.object_id = object_id
        self.frame = frame
        self.frame_count = session.frame_count
        self.frame_size = session.frame_size

    def image(self, frame: int | None = None) -> NDArray[np.uint8]:
        """A frame."""
        return self._session.stack.read(self.frame if frame is None else frame)

    def mask(self, object_id: int | None = None, frame: int | None = None) -> NDArray[np.bool_] | None:
        """An object's mask."""
        wanted = self.object_id if object_id is None else object_id
        if wanted is None or not self._session.has_object(wanted):
            return None
        record = self._session.record(wanted, self.frame if frame is None else frame)
        return None if record is None else self._session.pixels(record.mask).paste(self.frame_size)

    def labels(self, frame: int | None = None) -> NDArray[np.integer[Any]]:
        """All objects."""
        return self._session.labels(self.frame if frame is None else frame)

    def features(self, frame: int | None = None) -> Any:
        """Not to be had here."""
        raise StateError("The features of a frame are where the model works.")


def add_drawn(
    session: AnnotationSession, prompt_type: str, drawn: Drawn, object_id: int | None, **options: Any
) -> list[int]:
    """Take what was drawn as prompts; returns the objects that were prompted."""
    own = getattr(session, "add_drawn", None)
    if own is not None:
        found: list[int] = own(prompt_type, drawn, object_id, **options)
        return found
    known = object_id if object_id is not None and session.has_object(object_id) else None
    prompts = prompts_of(prompt_type, drawn, SessionContext(session, known, drawn.frame), **options)
    told = []
    current = known
    for prompt in prompts:
        target: int
        if prompt.object_id == "new" or (prompt.object_id is None and current is None):
            target = session.add_object().id
            if prompt.object_id is None:
                current = target
        else:
            target = int(current if prompt.object_id is None else prompt.object_id)  # type: ignore[arg-type]
        _say(session, target, drawn.frame if prompt.frame is None else prompt.frame, prompt)
        told.append(target)
    return list(dict.fromkeys(told))


def _say(session: AnnotationSession, target: int, frame: int, prompt: ObjectPrompt) -> None:
    if prompt.mask is not None:
        session.set_mask_prompt(target, frame, prompt.mask)
        return
    if prompt.replace:
        session.clear_prompt(target, frame)
    if prompt.box is not None:
        session.set_box(target, frame, prompt.box)
    points = list(prompt.points)
    if points:
        session.add_points(target, frame, points, list(prompt.labels))
