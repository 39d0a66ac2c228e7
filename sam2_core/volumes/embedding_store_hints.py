"""Where the pixels' digest of a frame can be had without reading the frame: a hint, never a key.

A hint says that a frame of some file, at some modification time and size, had pixels of some digest. Where the file
changed, or nothing tells whether it did, there is no hint, and the frame is read.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sam2_core import __version__
from sam2_core.volumes.embedding_store_key import DIGEST_BYTES

if TYPE_CHECKING:
    from sam2_core.volumes.frame_stack import FrameStack

# one record a frame: digest of the file's state, digest of the pixels. 32 bytes at a multiple of 32 lie in one page of
# memory and disk, so that another process sees the old record or the new one; a mixture would name no entry at all.
_RECORD_BYTES = 2 * DIGEST_BYTES
# modification times are as coarse as 2 s (FAT): a file this young may change again without showing it
_UNSETTLED_SECONDS = 2.5


class FrameHints:
    """Digests of a stack's frames as they were when last read, kept in a small file for each view of a source.

    Nothing here fails: what cannot be read or written is no hint.

    Parameters
    ----------
    folder : Path
        Holds the files of hints; made when the first is written.
    stack : FrameStack
        The frames, as they are read. Only stacks that know their file (:meth:`FrameStack.source_file`) have hints.
    """

    def __init__(self, folder: Path, stack: FrameStack) -> None:
        self._stack = stack
        self._path: Path | None = None
        source = stack.source_file(0)
        if source is not None:
            # frames of a folder are told apart by their records; the first one stands for all. Another version of ours
            # may decode a file to other pixels.
            view = [stack.axis, stack.frame_size, stack.channel_count, stack.contrast_limits]
            parts = [__version__, *source, *view]
            self._path = folder / f"{_digest(parts).hex()}.hints"

    def get(self, index: int) -> str | None:
        """Return the digest of a frame's pixels if the frame is known and its file unchanged."""
        state = None if self._path is None else self._state(index)
        if self._path is None or state is None:
            return None
        try:
            with self._path.open("rb") as file:
                file.seek(index * _RECORD_BYTES)
                record = file.read(_RECORD_BYTES)
        except OSError:
            return None
        if len(record) < _RECORD_BYTES or record[:DIGEST_BYTES] != state:
            return None
        return record[DIGEST_BYTES:].hex()

    def set(self, index: int, pixels: str, state: bytes | None) -> None:
        """Remember the digest of a frame's pixels.

        Parameters
        ----------
        index : int
        pixels : str
            Their digest.
        state : bytes or None
            :meth:`state` from before the frame was read.
        """
        if self._path is None or state is None or state != self.state(index):
            return
        record = state + bytes.fromhex(pixels)
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch()
            with self._path.open("r+b") as file:
                file.seek(index * _RECORD_BYTES)
                file.write(record)

    def state(self, index: int) -> bytes | None:
        """What the file of a frame is like now; None where that does not tell whether it will have changed."""
        return None if self._path is None else self._state(index, settled=True)

    def _state(self, index: int, *, settled: bool = False) -> bytes | None:
        source = self._stack.source_file(index)
        if source is None:
            return None
        path, part = source
        try:
            status = path.stat()
        except OSError:
            return None
        if settled and time.time() - status.st_mtime < _UNSETTLED_SECONDS:
            return None
        return _digest([path, part, status.st_mtime_ns, status.st_size, status.st_ino, index])


def _digest(parts: Sequence[object]) -> bytes:
    return hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=DIGEST_BYTES).digest()
