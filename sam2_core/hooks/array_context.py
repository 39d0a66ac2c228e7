"""What a prompt type asks for, answered from arrays: for scripts, and for tests of prompt types."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sam2_core.errors import InvalidInputError, StateError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class ArrayContext:
    """A :class:`~sam2_core.hooks.PromptContext` over images in memory.

    Parameters
    ----------
    images : ndarray (frame, y, x, rgb) uint8
    labels : ndarray (frame, y, x) of integers, optional
        Objects that are known already, 0 where there is none.
    object_id : int, optional
        The current object.
    frame : int
        The one that was drawn on.
    features : callable, optional
        ``features(frame) -> ImageFeatures``.

    Raises
    ------
    InvalidInputError
        The labels have another shape than the images, or there is no such frame.
    """

    def __init__(
        self,
        images: npt.NDArray[np.uint8],
        *,
        labels: npt.NDArray[np.integer[Any]] | None = None,
        object_id: int | None = None,
        frame: int = 0,
        features: Callable[[int], Any] | None = None,
    ) -> None:
        import numpy as np

        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise InvalidInputError(
                f"images are (frame, y, x, rgb) uint8; got {images.dtype} of shape {images.shape}. "
                "images[None] makes a stack of one."
            )
        if labels is not None and labels.shape != images.shape[:3]:
            raise InvalidInputError(f"labels have shape {labels.shape}, the images {images.shape[:3]}.")
        if not 0 <= frame < len(images):
            raise InvalidInputError(f"There is no frame {frame}; there are {len(images)}.")
        self._images = images
        self._labels = np.zeros(images.shape[:3], np.int32) if labels is None else labels
        self._features = features
        self.object_id = object_id
        self.frame = frame

    @property
    def frame_count(self) -> int:
        """How many images there are."""
        return len(self._images)

    @property
    def frame_size(self) -> tuple[int, int]:
        """(height, width)."""
        return self._images.shape[1], self._images.shape[2]

    def image(self, frame: int | None = None) -> npt.NDArray[np.uint8]:
        """An image (y, x, rgb)."""
        return self._images[self._chosen(frame)]

    def mask(self, object_id: int | None = None, frame: int | None = None) -> npt.NDArray[np.bool_] | None:
        """Where the labels have that number; None where they do not."""
        wanted = self.object_id if object_id is None else object_id
        if wanted is None:
            return None
        mask: npt.NDArray[np.bool_] = self._labels[self._chosen(frame)] == wanted
        return mask if mask.any() else None

    def labels(self, frame: int | None = None) -> npt.NDArray[np.integer[Any]]:
        """Labels (y, x)."""
        return self._labels[self._chosen(frame)]

    def features(self, frame: int | None = None) -> Any:
        """Ask the function that was given.

        Raises
        ------
        StateError
            None was.
        """
        if self._features is None:
            raise StateError("This context has no model: pass features=, a function from a frame to its ImageFeatures.")
        return self._features(self._chosen(frame))

    def _chosen(self, frame: int | None) -> int:
        return self.frame if frame is None else frame
