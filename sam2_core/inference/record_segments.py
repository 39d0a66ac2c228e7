"""The low-resolution logits of records, the large part of them: files of which the oldest are dropped over a quota."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

from sam2_core.errors import StateError

#: Largest file of droppable logits; a quota is divided into at least sixteen of them.
SEGMENT_BYTES = 64 * 2**20
SEGMENTS_PER_QUOTA = 16
#: Number of the file of logits that are never dropped.
PINNED = 0


class SegmentPlace(NamedTuple):
    """Where a piece of data lies: number of the file (0 is never dropped), offset and length in bytes."""

    segment: int
    offset: int
    length: int


class Segments:
    """Append-only numbered files in a folder, and one more for what must stay.

    Parameters
    ----------
    folder : Path
    segment_bytes : int
        Size at which a new file is begun.
    """

    def __init__(self, folder: Path, segment_bytes: int) -> None:
        self.folder = folder
        self.segment_bytes = segment_bytes
        self._lock = threading.Lock()
        self._sizes = {number: path.stat().st_size for number, path in self._found()}
        # a droppable file of an earlier process is not appended to
        self._current = max(self._sizes, default=0) + 1
        self._open: dict[int, BinaryIO] = {}

    def _found(self) -> list[tuple[int, Path]]:
        return [(int(path.stem.split("-")[1]), path) for path in self.folder.glob("logits-*.bin")]

    def _path(self, number: int) -> Path:
        return self.folder / f"logits-{number:06d}.bin"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(self._sizes.values())

    def holds(self, place: SegmentPlace) -> bool:
        """Whether the file of a place was not dropped."""
        return place.offset + place.length <= self._sizes.get(place.segment, -1)

    def reserve(self, number: int) -> None:
        """Make sure that a number that is known from elsewhere is not given to a new file."""
        self._current = max(self._current, number + 1)

    def append(self, data: bytes, *, pinned: bool) -> SegmentPlace:
        """Write data, with a checksum behind it, and return its place."""
        with self._lock:
            if not pinned and self._sizes.get(self._current, 0) >= self.segment_bytes:
                self._close(self._current)
                self._current += 1
            number = PINNED if pinned else self._current
            offset = self._sizes.get(number, 0)
            file = self._file(number)
            file.seek(offset)
            frame = memoryview(data + zlib.crc32(data).to_bytes(4, "little"))
            written = 0
            while written < len(frame):
                written += file.write(frame[written:])
            self._sizes[number] = offset + len(frame)
            return SegmentPlace(number, offset, len(data))

    def read(self, place: SegmentPlace) -> bytes | None:
        """Read what lies at a place; None where it was dropped.

        Raises
        ------
        StateError
            The file is damaged.
        """
        if not self.holds(place):
            return None
        with self._lock:
            file = self._file(place.segment)
            file.seek(place.offset)
            frame = file.read(place.length + 4)
        data = frame[: place.length]
        if zlib.crc32(data).to_bytes(4, "little") != frame[place.length :]:
            raise StateError(
                f"{self._path(place.segment)} is damaged at byte {place.offset}: its checksum does not match. Remove "
                "the folder of records and track again."
            )
        return data

    def drop_oldest(self) -> bool:
        """Remove the oldest droppable file; False where there is none."""
        with self._lock:
            oldest = min((number for number in self._sizes if number != PINNED), default=None)
            if oldest is None:
                return False
            self._close(oldest)
            _remove(self._path(oldest))
            del self._sizes[oldest]
            self._current = max(self._current, oldest + 1)
            return True

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            for number in list(self._open):
                self._close(number)

    def _file(self, number: int) -> BinaryIO:
        file = self._open.get(number)
        if file is None:
            path = self._path(number)
            file = self._open[number] = path.open("r+b" if path.exists() else "w+b", buffering=0)
            self._sizes.setdefault(number, 0)
            # few files are open at a time: the one written to, the pinned one, and the last ones read
            for other in [open_ for open_ in self._open if open_ not in (number, self._current, PINNED)][:-4]:
                self._close(other)
        return file

    def _close(self, number: int) -> None:
        file = self._open.pop(number, None)
        if file is not None:
            file.close()


def _remove(path: Path) -> None:
    """Remove a file, patiently: on Windows a virus scanner may hold it for a moment."""
    for _ in range(10):
        with contextlib.suppress(FileNotFoundError, PermissionError):
            os.remove(path)
        if not path.exists():
            return
        time.sleep(0.05)
