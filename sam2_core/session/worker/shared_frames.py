"""Memory that a session and its worker's process both see: pixels of frames go through it without being sent.

A file that both processes map. Its blocks are reserved when it is made, so that a full disk is an error there and then
and no signal later; nothing is left of it after a crash where a file that is open can be deleted.
"""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import WorkerError

#: Frames that fit: one is written while another is read.
SLOTS: Final = 2
#: Bytes of all of them together at most; larger frames go through the pipe.
MOST_BYTES: Final = 256 << 20


class SharedFrames:
    """Room for some frames, (y, x, RGB) uint8, in a file that is mapped into memory.

    Parameters
    ----------
    path : Path
        Of a file as :meth:`create` makes it.
    frame_size : tuple of int
        (height, width) in pixels.

    Raises
    ------
    OSError
        The file cannot be opened, for example because it is on another machine.
    WorkerError
        It is not as large as it has to be.
    """

    def __init__(self, path: Path, frame_size: tuple[int, int]) -> None:
        self.path = path
        self._shape = (*frame_size, 3)
        self._bytes = _frame_bytes(frame_size)
        with path.open("r+b") as file:
            found = os.fstat(file.fileno()).st_size
            if found != SLOTS * self._bytes:
                raise WorkerError(f"{path} holds {found} bytes in place of {SLOTS} frames of {frame_size} pixels.")
            self._memory = mmap.mmap(file.fileno(), found)

    @classmethod
    def create(cls, path: Path, frame_size: tuple[int, int]) -> SharedFrames | None:
        """Make the file; None where there is no room for it, or frames are too large.

        Parameters as of the class; there is no file at `path`.
        """
        size = SLOTS * _frame_bytes(frame_size)
        if not 0 < size <= MOST_BYTES:
            return None
        try:
            with path.open("xb") as file:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, size)
                else:
                    for _ in range(SLOTS):
                        file.write(bytes(size // SLOTS))
            return cls(path, frame_size)
        except OSError:
            with suppress(OSError):
                path.unlink()
            return None

    def frame(self, slot: int) -> NDArray[Any]:
        """The memory of a slot, (y, x, RGB) uint8, to write to or to copy from; not to be kept.

        Raises
        ------
        WorkerError
            There is no such slot.
        """
        if not 0 <= slot < SLOTS:
            raise WorkerError(f"Expected a slot from 0 to {SLOTS - 1}, got {slot}.")
        pixels = np.frombuffer(self._memory, np.uint8, self._bytes, slot * self._bytes)
        return pixels.reshape(self._shape)

    def forget_name(self) -> None:
        """Delete the file where that can be done while it is mapped; call when both sides have opened it."""
        with suppress(OSError):  # Windows: it goes with its folder
            self.path.unlink()

    def close(self) -> None:
        """Let go of the memory."""
        with suppress(BufferError):  # somebody is copying: it goes when that is done
            self._memory.close()


def _frame_bytes(frame_size: tuple[int, int]) -> int:
    return frame_size[0] * frame_size[1] * 3
