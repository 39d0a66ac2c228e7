"""What a prompt type may ask of the session it is used in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sam2_core.model.results import ImageFeatures
    from sam2_core.session.annotation_session import AnnotationSession


class SessionPromptContext:
    """A :class:`~sam2_core.hooks.PromptContext` over a session.

    Parameters
    ----------
    session : AnnotationSession
    object_id : int or None
        The current object.
    frame : int
        The one that was drawn on.
    """

    def __init__(self, session: AnnotationSession, object_id: int | None, frame: int) -> None:
        self._session = session
        self.object_id = object_id
        self.frame = frame

    @property
    def frame_count(self) -> int:
        """How many frames the stack has."""
        return self._session.frame_count

    @property
    def frame_size(self) -> tuple[int, int]:
        """(height, width)."""
        return self._session.frame_size

    def image(self, frame: int | None = None) -> NDArray[np.uint8]:
        """A frame as the model sees it: (y, x, rgb) uint8; the drawn one by default."""
        return self._session.stack.read(self._chosen(frame))

    def mask(self, object_id: int | None = None, frame: int | None = None) -> NDArray[np.bool_] | None:
        """An object's mask (y, x) bool, None where it has none; the current object on the drawn frame by default."""
        wanted = self.object_id if object_id is None else object_id
        if wanted is None:
            return None
        record = self._session.record(wanted, self._chosen(frame))
        return None if record is None else self._session.pixels(record.mask).paste(self.frame_size)

    def labels(self, frame: int | None = None) -> NDArray[np.integer[Any]]:
        """All objects of a frame as labels (y, x), 0 where there is none."""
        return self._session.labels(self._chosen(frame))

    def features(self, frame: int | None = None) -> ImageFeatures:
        """A frame's features, from the worker, which is waited for.

        Raises
        ------
        StateError
            The session has no model.
        """
        # torch only where somebody asks for tensors
        import torch

        from sam2_core.model.results import ImageFeatures

        levels = self._session.start_features(self._chosen(frame)).wait()
        maps = [torch.from_numpy(np.frombuffer(one.values, np.float32).reshape(one.shape).copy()) for one in levels]
        return ImageFeatures(tuple(maps), ())

    def _chosen(self, frame: int | None) -> int:
        return self.frame if frame is None else self._session.checked_frame(frame)
