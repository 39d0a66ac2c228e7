"""A stack that grows: frames of a camera, of which only the last few are kept."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.volumes.frame_stack import FrameStack

#: Frames of a stream that can still be looked at, and prompted.
KEPT_FRAMES = 32


class StreamFrames(FrameStack):
    """Frames handed in one at a time.

    Parameters
    ----------
    first : ndarray
        (y, x) or (y, x, channel), the first frame; the others have its shape and dtype. uint8 is passed on as it is;
        other dtypes need ``contrast``, since a sample of what is still to come cannot be drawn.
    contrast : (float, float), optional
        Intensities shown as black and as white.
    kept_frames : int
        How many of the last frames are kept, at least 1.
    """

    def __init__(
        self, first: Any, *, contrast: tuple[float, float] | None = None, kept_frames: int = KEPT_FRAMES
    ) -> None:
        pixels = _checked_pixels(first)
        if kept_frames < 1:
            raise InvalidInputError(f"kept_frames must be at least 1; got {kept_frames}.")
        if contrast is None and pixels.dtype not in (np.uint8, np.bool_):
            raise InvalidInputError(
                f"Frames of {pixels.dtype} need contrast=(black, white): the range of what is still to come is unknown."
            )
        super().__init__(
            name="stream",
            length=1,
            frame_size=(pixels.shape[0], pixels.shape[1]),
            channel_count=pixels.shape[2],
            dtype=pixels.dtype,
            axis="t",
            colour=pixels.shape[2] == 3,
            contrast=contrast,
        )
        self._kept_frames = kept_frames
        self._kept: OrderedDict[int, NDArray[Any]] = OrderedDict({0: pixels})

    def append(self, frame: Any) -> int:
        """Add a frame and return its index.

        Raises
        ------
        InvalidTypeError, InvalidInputError
            It is no image, or differs from the first one in shape or dtype.
        """
        pixels = _checked_pixels(frame)
        expected = (*self.frame_size, self.channel_count)
        if pixels.shape != expected or pixels.dtype != self.dtype:
            raise InvalidInputError(
                f"The frames of this stream are {expected} (height, width, channels) of {self.dtype}; got "
                f"{pixels.shape} of {pixels.dtype}."
            )
        index = self._length
        self._kept[index] = pixels
        self._length += 1
        while len(self._kept) > self._kept_frames:
            self._kept.popitem(last=False)
        return index

    def _read_raw(self, index: int) -> NDArray[Any]:
        try:
            return self._kept[index]
        except KeyError:
            raise InvalidInputError(
                f"Frame {index} of the stream has passed: frames {min(self._kept)} to {max(self._kept)} are kept. Keep "
                "more with kept_frames."
            ) from None


def _checked_pixels(frame: Any) -> NDArray[Any]:
    try:
        pixels = np.array(frame)  # a copy: cameras write into the same buffer again
    except (TypeError, ValueError) as error:
        raise InvalidTypeError(f"A frame is an array (y, x) or (y, x, channel); got {type(frame).__name__}.") from error
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3):
        raise InvalidInputError(f"A frame is (y, x) or (y, x, channel) with up to 3 channels; got {np.shape(frame)}.")
    return pixels
