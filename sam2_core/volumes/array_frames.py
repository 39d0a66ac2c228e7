"""Frames that are already arrays: one array (t, y, x[, channel]) or a list of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.volumes.contrast import Contrast
from sam2_core.volumes.frame_stack import FrameStack


class ArrayFrames(FrameStack):
    """The frames of one array, or of anything that has ``shape``, ``dtype`` and can be indexed like one.

    Parameters
    ----------
    array : array-like
        (y, x), (y, x, 3 or 4): one picture. (t, y, x), (t, y, x, 1 to 4): a stack. A fourth channel is alpha and
        dropped. Read frame by frame, so that memory-mapped, dask or zarr arrays stay lazy.
    contrast : None, "auto" or (float, float)
        See :class:`FrameStack`.
    """

    def __init__(self, array: Any, *, contrast: Contrast = None, name: str = "array") -> None:
        shape = tuple(int(size) for size in array.shape)
        try:
            dtype = np.dtype(array.dtype)
        except TypeError:
            raise InvalidTypeError(
                f"{name} has dtype {array.dtype!r}, which numpy does not know. Pass a numpy array (for a torch tensor: "
                "tensor.cpu().numpy())."
            ) from None
        # a last axis of 3 or 4 is colour, not a picture three pixels wide: that is how pictures come everywhere
        is_picture = len(shape) == 2 or (len(shape) == 3 and shape[-1] in (3, 4))
        if not is_picture and len(shape) not in (3, 4):
            raise InvalidInputError(
                f"{name} has shape {shape}; expected (y, x) or (y, x, 3) for one picture, (t, y, x) or "
                "(t, y, x, channel) for a stack."
            )
        if len(shape) == 4 and not 1 <= shape[3] <= 4:
            raise InvalidInputError(
                f"{name} has shape {shape}; the fourth axis holds channels, of which 1 to 4 are supported. Axes must "
                "be (t, y, x, channel): move the channel axis last, and choose up to three."
            )
        has_channels = shape[-1:] if is_picture and len(shape) == 3 else shape[3:]
        channel_count = _without_alpha(has_channels[0]) if has_channels else 1
        super().__init__(
            name=name,
            length=1 if is_picture else shape[0],
            frame_size=(shape[0], shape[1]) if is_picture else (shape[1], shape[2]),
            channel_count=channel_count,
            dtype=dtype,
            axis="frame",
            colour=channel_count == 3,
            contrast=contrast,
        )
        self._array = array
        self._is_picture = is_picture

    def _read_raw(self, index: int) -> NDArray[Any]:
        frame = np.asarray(self._array if self._is_picture else self._array[index])
        return frame.reshape(*self.frame_size, -1)[:, :, : self.channel_count]


class PictureListFrames(FrameStack):
    """The frames of a list of arrays, each (y, x) or (y, x, channel), all of one size and dtype."""

    def __init__(
        self, pictures: Sequence[NDArray[Any]], *, contrast: Contrast = None, name: str = "list of arrays"
    ) -> None:
        if not pictures:
            raise InvalidInputError(f"The {name} is empty; at least one picture is needed.")
        for number, picture in enumerate(pictures):
            if picture.ndim not in (2, 3) or (picture.ndim == 3 and not 1 <= picture.shape[2] <= 4):
                raise InvalidInputError(
                    f"Item {number} of the {name} has shape {picture.shape}; expected (y, x) or (y, x, channel), "
                    "1 to 4 channels."
                )
            if picture.shape != pictures[0].shape or picture.dtype != pictures[0].dtype:
                raise InvalidInputError(
                    f"Item {number} of the {name} is {picture.shape} {picture.dtype}, the first one "
                    f"{pictures[0].shape} {pictures[0].dtype}. All frames of a stack must have one size and dtype."
                )
        first = pictures[0]
        channel_count = _without_alpha(first.shape[2]) if first.ndim == 3 else 1
        super().__init__(
            name=name,
            length=len(pictures),
            frame_size=(first.shape[0], first.shape[1]),
            channel_count=channel_count,
            dtype=first.dtype,
            axis="frame",
            colour=channel_count == 3,
            contrast=contrast,
        )
        self._pictures = pictures

    def _read_raw(self, index: int) -> NDArray[Any]:
        return self._pictures[index].reshape(*self.frame_size, -1)[:, :, : self.channel_count]


def _without_alpha(sample_count: int) -> int:
    return 3 if sample_count == 4 else sample_count
