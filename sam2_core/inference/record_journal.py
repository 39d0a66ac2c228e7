"""An append-only file of entries that survives ``kill -9``: what was written whole is read again, a torn end is not.

Entries are grouped into frames that are read whole or not at all. A frame is a header (magic, length, CRC-32 of the
body) and a body of entries, each a kind (one byte), a length and a payload. Frames are handed to the operating system
in one write, without a buffer of ours: a process that is killed loses at most the frame it was writing. (A machine that
loses power may lose what its system had not yet put on disk.)
"""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sam2_core.errors import InvalidInputError, StateError

_HEADER = struct.Struct("<4sII")
_ENTRY = struct.Struct("<BI")
_MAGIC = b"S2J1"


class JournalEntry(NamedTuple):
    """One entry.

    Attributes
    ----------
    kind : int
        0 to 255; what it means is the caller's business.
    offset : int
        Position of the payload in the file, for :meth:`Journal.read`.
    payload : bytes
    """

    kind: int
    offset: int
    payload: bytes


class Journal:
    """A journal, open for appending and for reading at any place.

    Opening cuts off a torn end, so that what is appended follows a complete frame.

    Parameters
    ----------
    path : Path
        Made if it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # unbuffered: what was written is with the operating system, and survives this process
        self._file = path.open("r+b" if path.exists() else "w+b", buffering=0)
        self._lock = threading.Lock()
        self._size = self._file.seek(0, 2)
        self._staged: list[tuple[int, bytes]] = []
        self._staged_bytes = 0

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._size

    def entries(self) -> Iterator[JournalEntry]:
        """Read all complete frames from the start, and cut off what follows the last of them.

        Raises
        ------
        StateError
            The file is no journal.
        """
        if self._read_at(0, len(_MAGIC)) not in (_MAGIC, _MAGIC[: self._size]):
            raise StateError(f"{self.path} is no journal of records; it was left as it is. Name another folder.")
        position = 0
        while True:
            header = self._read_at(position, _HEADER.size)
            if len(header) < _HEADER.size:
                break
            magic, length, checksum = _HEADER.unpack(header)
            if magic != _MAGIC or position + _HEADER.size + length > self._size:
                break
            body = self._read_at(position + _HEADER.size, length)
            if len(body) < length or zlib.crc32(body) != checksum:
                break
            start = position + _HEADER.size
            within = 0
            while within < length:
                kind, size = _ENTRY.unpack_from(body, within)
                within += _ENTRY.size
                yield JournalEntry(kind, start + within, body[within : within + size])
                within += size
            position = start + length
        with self._lock:
            self._file.truncate(position)
            self._size = position

    def stage(self, kind: int, payload: bytes) -> int:
        """Add an entry to the frame that :meth:`flush` will write, and return where its payload will stand."""
        with self._lock:
            offset = self._size + _HEADER.size + self._staged_bytes + _ENTRY.size
            self._staged.append((kind, payload))
            self._staged_bytes += _ENTRY.size + len(payload)
        return offset

    def flush(self) -> None:
        """Write what is staged as one frame."""
        with self._lock:
            if not self._staged:
                return
            body = b"".join(_ENTRY.pack(kind, len(payload)) + payload for kind, payload in self._staged)
            frame = memoryview(_HEADER.pack(_MAGIC, len(body), zlib.crc32(body)) + body)
            self._file.seek(self._size)
            written = 0
            try:
                while written < len(frame):
                    written += self._file.write(frame[written:])
            except OSError:
                # a full disk: the torn frame goes, so that the journal can be appended to once there is room
                self._file.truncate(self._size)
                raise
            self._size += len(frame)
            self._staged.clear()
            self._staged_bytes = 0

    def read(self, offset: int, length: int) -> bytes:
        """Read a payload, or the first bytes of one, staged ones included.

        Raises
        ------
        InvalidInputError
            The file ends before.
        """
        if offset + length > self._size:
            self.flush()
        data = self._read_at(offset, length)
        if len(data) < length:
            raise InvalidInputError(f"{self.path} ends at byte {self._size}; there are no {length} bytes at {offset}.")
        return data

    def close(self) -> None:
        """Write what is staged and close the file."""
        if not self._file.closed:
            self.flush()
            self._file.close()

    def _read_at(self, offset: int, length: int) -> bytes:
        with self._lock:
            self._file.seek(offset)
            parts = []
            while length > 0:
                part = self._file.read(length)
                if not part:
                    break
                parts.append(part)
                length -= len(part)
        return b"".join(parts)
