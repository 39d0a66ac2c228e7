"""A stack whose frames are somewhere else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.session.worker.messages import FramePixels, NeedFrame, StackDescription
from sam2_core.session.worker.shared_frames import SLOTS, SharedFrames
from sam2_core.volumes.frame_stack import FrameStack


class RemoteStack(FrameStack):
    """Frames as the model sees them, asked for one by one.

    Parameters
    ----------
    description : StackDescription
    ask : callable
        Takes the message that asks; the answer comes to :meth:`receive`, from another thread.
    shared : SharedFrames, optional
        Memory that pixels come in, as long as one of its slots is free.
    """

    def __init__(
        self,
        description: StackDescription,
        ask: Callable[[NeedFrame], object],
        shared: SharedFrames | None = None,
    ) -> None:
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
        self._shared = shared
        self._came = threading.Condition()
        self._free = list(range(SLOTS)) if shared is not None else []
        # one answer for each time that a frame was asked for, maybe by several threads
        self._frames: dict[int, list[FramePixels]] = {}
        self._last: tuple[int, NDArray[Any]] | None = None

    def receive(self, frame: FramePixels) -> None:
        """Take a frame that was asked for."""
        with self._came:
            self._frames.setdefault(frame.frame, []).append(frame)
            self._came.notify_all()

    def _read_raw(self, index: int) -> NDArray[Any]:
        last = self._last
        if last is not None and last[0] == index:
            # crops around many objects are cut from one frame after another
            return last[1]
        with self._came:
            slot = self._free.pop() if self._free else None
        self._ask(NeedFrame(index, slot))
        found = self._answer(index)
        try:
            if found.error:
                raise InvalidInputError(found.error)
            pixels = self._pixels(found)
        finally:
            if found.slot is not None:
                with self._came:
                    self._free.append(found.slot)
        self._last = index, pixels
        return pixels

    def _answer(self, index: int) -> FramePixels:
        with self._came:
            self._came.wait_for(lambda: index in self._frames)
            answers = self._frames[index]
            found = answers.pop(0)
            if not answers:
                del self._frames[index]
        return found

    def _pixels(self, found: FramePixels) -> NDArray[Any]:
        if found.slot is not None and self._shared is not None:
            return self._shared.frame(found.slot).copy()
        return np.frombuffer(found.pixels, np.uint8).reshape(*self.frame_size, 3)
