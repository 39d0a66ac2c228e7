"""A stack whose frames are somewhere else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.session.worker.messages import FramePixels, NeedFrame, StackDescription
from sam2_core.volumes.frame_stack import FrameStack


class RemoteStack(FrameStack):
    """Frames as the model sees them, asked for one by one.

    Parameters
    ----------
    description : StackDescription
    ask : callable
        Takes the message that asks; the answer comes to :meth:`receive`, from another thread.
    """

    def __init__(self, description: StackDescription, ask: Callable[[NeedFrame], object]) -> None:
        super().__init__(
            name=description.name,
            length=description.length,
            frame_size=(description.height, description.width),
            channel_count=3,
            dtype=np.dtype(np.uint8),
            axis=description.axis,
            colour=True,
            contrast=None,
        )
        self._ask = ask
        self._came = threading.Condition()
        self._frames: dict[int, FramePixels] = {}
        self._last: tuple[int, NDArray[Any]] | None = None

    def receive(self, frame: FramePixels) -> None:
        """Take a frame that was asked for."""
        with self._came:
            self._frames[frame.frame] = frame
            self._came.notify_all()

    def _read_raw(self, index: int) -> NDArray[Any]:
        last = self._last
        if last is not None and last[0] == index:
            # crops around many objects are cut from one frame after another
            return last[1]
        self._ask(NeedFrame(index))
        with self._came:
            self._came.wait_for(lambda: index in self._frames)
            found = self._frames.pop(index)
        if found.error:
            raise InvalidInputError(found.error)
        pixels = np.frombuffer(found.pixels, np.uint8).reshape(*self.frame_size, 3)
        self._last = index, pixels
        return pixels
