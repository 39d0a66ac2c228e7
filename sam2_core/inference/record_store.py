"""The records of a video on disk, under a quota: a journal of everything that happened, and the logits beside it."""

from __future__ import annotations

import contextlib
import json
import shutil
import struct
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any

import filelock
import torch

from sam2_core.errors import InvalidInputError, StateError, WriteError
from sam2_core.inference.frame_record import (
    FrameRecord,
    facts_from_bytes,
    facts_to_bytes,
    logits_from_bytes,
    logits_to_bytes,
)
from sam2_core.inference.record_index import RecordRef
from sam2_core.inference.record_journal import Journal, JournalEntry
from sam2_core.inference.record_segments import SEGMENT_BYTES, SEGMENTS_PER_QUOTA, SegmentPlace, Segments

#: Space for records unless told otherwise: some 40,000 at 1024 pixels.
DEFAULT_QUOTA_BYTES = 8 * 2**30
#: Records kept in memory once read or written.
CACHE_BYTES = 24 * 2**20
#: Object pointers kept in memory, a kilobyte each: sixteen for each of 256 objects.
CACHED_POINTERS = 4096
_FORMAT = 1
_RECORD = struct.Struct("<IIBIQI")


class EntryKind(IntEnum):
    """What an entry of the journal tells."""

    META = 1
    OBJECT = 2
    REMOVED = 3
    POINTS = 4
    MASK = 5
    PROMPTS_CLEARED = 6
    RECORD = 7
    CHANGE = 8
    TRACKED = 9
    RUN = 10
    RUN_FRAME = 11
    LOGITS = 12


class RecordStore:
    """A folder of records, written by one process at a time.

    It holds ``journal.bin`` (objects, prompts, and of each record all but its logits), ``logits-*.bin``, and a lock.
    Nothing is rewritten: a record that is replaced stays until its file of logits is dropped. Over the quota the oldest
    files of logits are dropped; logits of prompted and locked frames lie in a file of their own, which is not. Whatever
    was written completely can be read again after the process was killed.

    Parameters
    ----------
    folder : str, Path or None
        Where to keep them; made if it does not exist. None takes a temporary folder, removed by :meth:`close` or when
        the process ends.
    quota_bytes : int
        Size up to which logits are kept.
    dtype : torch.dtype
        The dtype the model computes in: logits are stored in it where that loses nothing.
    device : torch.device
        Where records are wanted.

    Raises
    ------
    InvalidInputError
        A negative quota, or a folder with other things in it.
    StateError
        Another process works in this folder, or it was written by another version.
    """

    def __init__(
        self,
        folder: str | Path | None,
        *,
        quota_bytes: int = DEFAULT_QUOTA_BYTES,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ) -> None:
        if quota_bytes < 0:
            raise InvalidInputError(f"The quota of records is a number of bytes, 0 or more; got {quota_bytes}.")
        self.is_temporary = folder is None
        self.quota_bytes = quota_bytes
        self._dtype = dtype
        self._device = device or torch.device("cpu")
        self.folder = Path(tempfile.mkdtemp(prefix="sam2-records-")) if folder is None else Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise InvalidInputError(f"{self.folder} is a file; records need a folder.")
        known = (self.folder / "journal.bin").exists()
        if not known and self.folder.exists() and any(path.name != "lock" for path in self.folder.iterdir()):
            raise InvalidInputError(f"{self.folder} holds other things than records; name an empty or a new folder.")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = filelock.FileLock(self.folder / "lock")
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            raise StateError(
                f"Another process, or another state of this one, works with the records in {self.folder}. Close it, or "
                "name another folder."
            ) from None
        self._journal = Journal(self.folder / "journal.bin")
        share = max(quota_bytes // SEGMENTS_PER_QUOTA, 1)
        self._segments = Segments(self.folder, min(SEGMENT_BYTES, share))
        self._cache: OrderedDict[int, FrameRecord] = OrderedDict()
        self._cached_bytes = 0
        self._pointers: OrderedDict[int, torch.Tensor] = OrderedDict()
        #: While the journal is read again, what is applied is not written a second time.
        self.is_replaying = False
        self._finalizer = weakref.finalize(
            self, _finish, self._journal, self._segments, self._lock, self.folder if self.is_temporary else None
        )

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._journal.size + self._segments.size

    @property
    def journal_size(self) -> int:
        """Bytes of the journal: cut to what this once was, a folder is again what it was then."""
        return self._journal.size

    def check_format(self, meta: dict[str, Any], found: dict[str, Any]) -> None:
        """Compare what the journal says it was written for with what it is opened for.

        Raises
        ------
        StateError
            They differ.
        """
        different = [name for name in meta if found.get(name) != meta[name]]
        if found.get("format") != _FORMAT:
            different = ["format"]
        if different:
            wanted = {name: meta.get(name, _FORMAT) for name in different}
            raise StateError(
                f"The records in {self.folder} belong to something else: they have "
                f"{ {name: found.get(name) for name in different} }, this video and model {wanted}. "
                "Name another folder."
            )

    def entries(self) -> Iterator[JournalEntry]:
        """Read the journal from the start, and cut off a torn end."""
        return self._journal.entries()

    def stage(self, kind: EntryKind, payload: bytes) -> None:
        """Add an entry to what :meth:`flush` will write as one: wholly or not at all."""
        if not self.is_replaying:
            self._journal.stage(kind, payload)

    def stage_json(self, kind: EntryKind, document: dict[str, Any]) -> None:
        """Add an entry that is a JSON document."""
        self.stage(kind, json.dumps(document).encode())

    def stage_meta(self, meta: dict[str, Any]) -> None:
        """Add the entry that says what the records are of."""
        self.stage_json(EntryKind.META, meta | {"format": _FORMAT})

    def flush(self) -> None:
        """Write what is staged.

        Raises
        ------
        WriteError
            The disk is full, say. What was written before is intact, and what is staged is written by the next flush.
        """
        with self._writing():
            self._journal.flush()

    def write(self, number: int, frame: int, place: int, record: FrameRecord, *, pinned: bool) -> RecordRef:
        """Write a record and return where it is.

        Parameters
        ----------
        number, frame : int
            The object's number and the frame.
        place : int
            What it is to the object; given back by :meth:`parse_record`.
        record : FrameRecord
            With logits.
        pinned : bool
            Whether its logits stay whatever the quota.

        Raises
        ------
        WriteError
            The disk is full, say; the record is not made then.
        """
        where = SegmentPlace(1, 0, 0)
        if record.mask_logits is not None:
            with self._writing():
                where = self._segments.append(logits_to_bytes(record.mask_logits, self._dtype), pinned=pinned)
        facts = facts_to_bytes(record)
        head = _RECORD.pack(number, frame, place, *where)
        offset = self._journal.stage(EntryKind.RECORD, head + facts)
        ref = RecordRef(offset + _RECORD.size, len(facts), where, record.from_prompt)
        self._keep(ref, record)
        self._pointers[ref.facts] = record.object_pointer
        self._meet_quota()
        return ref

    def parse_record(self, entry: JournalEntry) -> tuple[int, int, int, RecordRef]:
        """Take a record's entry apart: object number, frame, place, reference."""
        number, frame, place, *where = _RECORD.unpack_from(entry.payload)
        facts = entry.payload[_RECORD.size :]
        self._segments.reserve(where[0])
        from_prompt = bool(facts[0])
        ref = RecordRef(entry.offset + _RECORD.size, len(facts), SegmentPlace(*where), from_prompt)
        return number, frame, place, ref

    def read(self, ref: RecordRef) -> FrameRecord:
        """Read a record, without logits where they were dropped."""
        record = self._cache.get(ref.facts)
        if record is not None:
            self._cache.move_to_end(ref.facts)
            return record
        data = self._segments.read(ref.logits) if ref.logits.length else None
        logits = None if data is None else logits_from_bytes(data)
        record = facts_from_bytes(self._journal.read(ref.facts, ref.size), logits, self._device)
        self._keep(ref, record)
        return record

    def read_pointer(self, ref: RecordRef) -> torch.Tensor:
        """Read the object pointer (1, C) of a record, which is needed more often than the rest of it."""
        pointer = self._pointers.get(ref.facts)
        if pointer is None:
            facts = facts_from_bytes(self._journal.read(ref.facts, ref.size), None, self._device)
            pointer = self._pointers[ref.facts] = facts.object_pointer
        self._pointers.move_to_end(ref.facts)
        while len(self._pointers) > CACHED_POINTERS:
            self._pointers.popitem(last=False)
        return pointer

    def has_logits(self, ref: RecordRef) -> bool:
        """Whether a record's logits can be read, from disk or from memory."""
        if ref.logits.length > 0 and self._segments.holds(ref.logits):
            return True
        cached = self._cache.get(ref.facts)
        return cached is not None and cached.mask_logits is not None

    def pin(self, ref: RecordRef) -> RecordRef:
        """Copy a record's logits to where they are not dropped."""
        logits = self.read(ref).mask_logits
        if logits is None:
            return ref
        return ref._replace(logits=self._segments.append(logits_to_bytes(logits, self._dtype), pinned=True))

    def forget_cached(self) -> None:
        """Let go of the records kept in memory; they are read from disk again."""
        self._cache.clear()
        self._pointers.clear()
        self._cached_bytes = 0

    def close(self) -> None:
        """Write what is staged, close the files and give the folder free; remove it if it is temporary."""
        self.forget_cached()
        self._finalizer()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise WriteError(
                f"Records cannot be written to {self.folder}: {error.strerror or error}. What was written before is "
                "intact; make room (or name a folder elsewhere, or a lower records_quota_bytes) and go on."
            ) from error

    def _keep(self, ref: RecordRef, record: FrameRecord) -> None:
        old = self._cache.pop(ref.facts, None)
        self._cached_bytes += record.nbytes - (0 if old is None else old.nbytes)
        self._cache[ref.facts] = record
        while self._cached_bytes > CACHE_BYTES and len(self._cache) > 1:
            _, gone = self._cache.popitem(last=False)
            self._cached_bytes -= gone.nbytes

    def _meet_quota(self) -> None:
        while self.size > self.quota_bytes and self._segments.drop_oldest():
            pass


def _finish(journal: Journal, segments: Segments, lock: filelock.BaseFileLock, temporary: Path | None) -> None:
    journal.close()
    segments.close()
    lock.release()
    if temporary is not None:
        shutil.rmtree(temporary, ignore_errors=True)
