"""A line of a stack's frames, tracked along as a stack of its own with the features of the whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.inference.frame_features import FrameFeatures
from sam2_core.inference.video_frames import PreparedFrames
from sam2_core.volumes.frame_stack import FrameStack

if TYPE_CHECKING:
    from sam2_core.model.results import ImageFeatures


class StackLine(FrameStack):
    """Some frames of a stack, in any order; closing it leaves the stack open.

    Parameters
    ----------
    stack : FrameStack
    frames : sequence of int
        Their numbers in the stack.
    axis : str
        What they are counted along.
    """

    def __init__(self, stack: FrameStack, frames: Sequence[int], axis: str) -> None:
        outside = [frame for frame in frames if not 0 <= frame < len(stack)]
        if outside:
            raise InvalidInputError(f"{stack.name} has frames 0 to {len(stack) - 1}; there is no frame {outside[0]}.")
        super().__init__(
            name=stack.name,
            length=len(frames),
            frame_size=stack.frame_size,
            channel_count=stack.channel_count,
            dtype=stack.dtype,
            axis=axis,
            colour=stack.colour,
            contrast=stack.contrast_limits,
            spacing=stack.spacing,
            spacing_unit=stack.spacing_unit,
            address=stack.address,
            volume=stack.volume,
        )
        self._stack, self._frames = stack, frames

    def _read_raw(self, index: int) -> NDArray[Any]:
        return self._stack.read_raw(self._frames[index])


class LineFrames(PreparedFrames):
    """The frames of a line as the model wants them.

    Parameters
    ----------
    images : PreparedFrames
        Those of the whole stack.
    frames, axis
        See :class:`StackLine`.
    """

    def __init__(self, images: PreparedFrames, frames: Sequence[int], axis: str) -> None:
        super().__init__(StackLine(images.stack, frames, axis), images.transform, images.device, cached_frames=1)


class LineFeatures(FrameFeatures):
    """The features of a line's frames, which are those of the whole stack: kept there, and encoded once for all lines.

    Parameters
    ----------
    model : FrameSegmenter
    images : LineFrames
    features : FrameFeatures
        Those of the whole stack.
    frames : sequence of int
        See :class:`StackLine`.
    """

    def __init__(self, model: Any, images: LineFrames, features: FrameFeatures, frames: Sequence[int]) -> None:
        super().__init__(model, images, memory_bytes=0)
        self._of_stack, self._line = features, frames

    def get(self, frame_index: int) -> ImageFeatures:
        """Return a frame's features; see :meth:`FrameFeatures.get`."""
        return self._of_stack.get(self._line[frame_index])
