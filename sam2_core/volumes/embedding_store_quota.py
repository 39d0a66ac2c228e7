"""The files of the embedding store: how much they take, and which go first when that is too much."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

_LOGGER = logging.getLogger(__name__)

#: Most that a store takes unless told otherwise; less where the disk has little room left.
DEFAULT_QUOTA_BYTES = 64 * 2**30
#: Evicting goes on until this share of the quota is in use, so that it does not start anew with every frame.
KEPT_SHARE = 0.9
# a file still being written is this young; an older one was left behind by a process that was killed
_ABANDONED_SECONDS = 3600.0
# other processes write too: after so much of the quota was written here, the folder is looked at again
_TRUSTED_SHARE = 1 / 32


@dataclass(frozen=True)
class StoredFile:
    """One entry on disk: where, how large, and when it was last used (seconds since 1970)."""

    path: Path
    size: int
    used: float


class EntryFiles:
    """The entries below a folder, kept under a quota by letting go of those not used for longest.

    Parameters
    ----------
    folder : Path
        Holds one folder a feature space; entries are the files in these whose names begin with ``c.``.
    quota_bytes : int
        Upper limit of their sizes together.
    """

    def __init__(self, folder: Path, quota_bytes: int) -> None:
        self.folder = folder
        self.quota_bytes = quota_bytes
        self._known_bytes: int | None = None
        self._written_since = 0

    def __iter__(self) -> Iterator[StoredFile]:
        for space in _entries(self.folder):
            if not space.is_dir():
                continue
            for entry in _entries(Path(space.path)):
                if entry.name.startswith("c."):
                    # another process may have evicted it meanwhile
                    with suppress(OSError):
                        status = entry.stat()
                        yield StoredFile(Path(entry.path), status.st_size, status.st_mtime)

    def touched(self, path: Path) -> None:
        """Note that an entry was used: its modification time says when (access times are off on many systems)."""
        with suppress(OSError):
            os.utime(path)

    def make_room(self, size: int) -> None:
        """Let go of entries where one of ``size`` bytes would be too much, before it is written."""
        if self._known_bytes is None or self._written_since > self.quota_bytes * _TRUSTED_SHARE:
            self._known_bytes, self._written_since = sum(file.size for file in self), 0
        if self._known_bytes + size > self.quota_bytes:
            self.evict(size)

    def added(self, size: int) -> None:
        """Take account of a new entry of ``size`` bytes."""
        if self._known_bytes is not None:
            self._known_bytes += size
        self._written_since += size

    def evict(self, room: int = 0) -> None:
        """Delete entries, those used longest ago first, until the quota holds with some room to spare.

        Parameters
        ----------
        room : int
            Bytes that are to be written.
        """
        try:
            # one process at a time, or each would evict for all the others too; who comes second has nothing to do
            with FileLock(self.folder / "evict.lock", timeout=0):
                files = sorted((file for file in self if not _is_young_part(file)), key=lambda file: file.used)
                total = sum(file.size for file in files)
                if total + room > self.quota_bytes:
                    total = self._delete(files, total, self.quota_bytes * KEPT_SHARE - room)
        except Timeout:
            self._known_bytes = None
            return
        self._known_bytes, self._written_since = total, 0

    def _delete(self, files: list[StoredFile], total: int, wanted: float) -> int:
        """Delete the first of ``files`` until no more than ``wanted`` bytes are left of ``total``; returns how many."""
        count = 0
        for file in files:
            if total <= wanted:
                break
            try:
                file.path.unlink(missing_ok=True)
            except OSError:
                continue  # open in another process, on Windows
            total -= file.size
            count += 1
        _LOGGER.info("embedding store %s: %d entries not used for longest were let go", self.folder, count)
        return total

    def clear(self) -> None:
        """Delete all entries."""
        for space in _entries(self.folder):
            if space.is_dir():
                shutil.rmtree(space.path, ignore_errors=True)
        self._known_bytes, self._written_since = None, 0


def default_quota(folder: Path) -> int:
    """64 GiB, or half of what the disk of ``folder`` (which exists) has left together with what is stored already."""
    stored = sum(file.size for file in EntryFiles(folder, 0))
    return min(DEFAULT_QUOTA_BYTES, (shutil.disk_usage(folder).free + stored) // 2)


def _is_young_part(file: StoredFile) -> bool:
    return file.path.suffix == ".partial" and time.time() - file.used < _ABANDONED_SECONDS


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []  # cleared meanwhile
