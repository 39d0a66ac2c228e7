"""One object: its prompts, and what is known of it on each frame, independent of every other object."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Hashable, Iterator, Mapping
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import torch

from sam2_core.errors import StateError
from sam2_core.inference.frame_record import FrameRecord
from sam2_core.inference.record_index import NO_FLAGS, FrameFlags, RecordIndex, RecordRef
from sam2_core.inference.record_store import EntryKind, RecordStore
from sam2_core.model.results import PointPrompts

_OBJECT_FRAME = struct.Struct("<II")
_CHANGE = struct.Struct("<IIB")
_LOGITS = struct.Struct("<IIIQI")


class Place(IntEnum):
    """Which role a record is written for."""

    RECENT = 1
    CONDITIONING = 2
    PENDING_RECENT = 3
    PENDING_CONDITIONING = 4
    CHOSEN = 5


class Change(IntEnum):
    """What happens to a frame of an object without a new record."""

    COMMIT = 1
    DROP_PENDING = 2
    DEMOTE = 3
    PROMOTE = 4
    FORGET = 5
    UNTRACK = 6
    LOCK = 7
    UNLOCK = 8


class PendingRecord(NamedTuple):
    """The answer to a prompt that is not part of the memory yet.

    Attributes
    ----------
    ref : RecordRef
    becomes_conditioning : bool
    """

    ref: RecordRef
    becomes_conditioning: bool


class RecordView(Mapping[int, FrameRecord]):
    """Some of an object's records by frame, read from the store when asked for."""

    def __init__(self, frames: Callable[[], Iterator[int]], flag: FrameFlags, index: RecordIndex, store: RecordStore):
        self._frames = frames
        self._flag = flag
        self._index = index
        self._store = store

    def __getitem__(self, frame: int) -> FrameRecord:
        ref = self._index.ref(frame) if frame in self else None
        if ref is None:
            raise KeyError(frame)
        return self._store.read(ref)

    def __contains__(self, frame: object) -> bool:
        return isinstance(frame, int) and frame >= 0 and bool(self._index.flags(frame) & self._flag)

    def __iter__(self) -> Iterator[int]:
        return self._frames()

    def __len__(self) -> int:
        return self._index.count(self._flag)


class TrackedView(Mapping[int, bool]):
    """The frames that propagation went over, and whether it went backwards."""

    def __init__(self, index: RecordIndex) -> None:
        self._index = index

    def __getitem__(self, frame: int) -> bool:
        flags = self._index.flags(frame)
        if not flags & FrameFlags.TRACKED:
            raise KeyError(frame)
        return bool(flags & FrameFlags.REVERSE)

    def __iter__(self) -> Iterator[int]:
        return self._index.frames(FrameFlags.TRACKED)

    def __len__(self) -> int:
        return self._index.count(FrameFlags.TRACKED)


class MaskPrompts(Mapping[int, torch.Tensor]):
    """An object's mask prompts by frame, (1, 1, H, W) bool, packed while nobody looks: a thousandth of their size."""

    def __init__(self) -> None:
        self._packed: dict[int, tuple[tuple[int, int], bytes]] = {}

    def __getitem__(self, frame: int) -> torch.Tensor:
        (height, width), data = self._packed[frame]
        bits = np.frombuffer(zlib.decompress(data), np.uint8)
        mask = np.unpackbits(bits, count=height * width).reshape(1, 1, height, width)
        return torch.from_numpy(mask.astype(bool))

    def __iter__(self) -> Iterator[int]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)

    def put(self, frame: int, size: tuple[int, int], packed: bytes) -> None:
        """Set a frame's mask, packed by :func:`packed_mask`."""
        self._packed[frame] = (size, packed)

    def discard(self, frame: int) -> None:
        """Remove a frame's mask, if there is one."""
        self._packed.pop(frame, None)


def packed_mask(mask: torch.Tensor) -> bytes:
    """Pack a bool mask for :class:`MaskPrompts`."""
    return zlib.compress(np.packbits(mask.cpu().numpy()).tobytes(), 1)


class TrackedObject:
    """One object: its prompts and its records.

    Every change is staged in the store's journal, from which :meth:`VideoState <.VideoState>` builds the object again.

    Parameters
    ----------
    object_id : hashable
        The caller's name for it.
    number : int
        Its number in the journal.
    store : RecordStore

    Attributes
    ----------
    point_prompts, mask_prompts : mapping of int to prompt
        By frame index; a frame has points (and box) or a mask, never both.
    conditioning : mapping of int to FrameRecord
        Frames every other frame attends to, in the order in which they became so.
    recent : mapping of int to FrameRecord
        Tracked frames, attended to for a while.
    pending : dict of int to PendingRecord
        Results of prompts not yet made part of the memory.
    tracked : mapping of int to bool
        Frames that propagation went over, and whether it went backwards.
    """

    def __init__(self, object_id: Hashable, number: int, store: RecordStore) -> None:
        self.object_id = object_id
        self.number = number
        self.point_prompts: dict[int, PointPrompts] = {}
        self.mask_prompts = MaskPrompts()
        self.pending: dict[int, PendingRecord] = {}
        self.index = RecordIndex()
        self._store = store
        self._conditioning: dict[int, None] = {}  # in order
        self.conditioning: Mapping[int, FrameRecord] = RecordView(
            lambda: iter(list(self._conditioning)), FrameFlags.CONDITIONING, self.index, store
        )
        self.recent: Mapping[int, FrameRecord] = RecordView(
            lambda: self.index.frames(FrameFlags.RECENT), FrameFlags.RECENT, self.index, store
        )
        self.tracked: Mapping[int, bool] = TrackedView(self.index)

    # -- reading -------------------------------------------------------------------------------------------------------

    def latest_ref(self, frame_index: int) -> RecordRef | None:
        """Return the reference of the newest record of a frame, if there is one."""
        pending = self.pending.get(frame_index)
        return pending.ref if pending is not None else self.index.ref(frame_index)

    def latest(self, frame_index: int) -> FrameRecord | None:
        """Return the newest record of a frame, if there is one."""
        ref = self.latest_ref(frame_index)
        return None if ref is None else self._store.read(ref)

    def record(self, frame_index: int) -> FrameRecord:
        """Return the record of a frame that is part of the memory."""
        ref = self.index.ref(frame_index)
        if ref is None:
            raise StateError(f"Object {self.object_id!r} has no record on frame {frame_index}.")
        return self._store.read(ref)

    def pointer(self, frame_index: int) -> torch.Tensor:
        """Return the object pointer (1, C) of a frame that is part of the memory."""
        ref = self.index.ref(frame_index)
        if ref is None:
            raise StateError(f"Object {self.object_id!r} has no record on frame {frame_index}.")
        return self._store.read_pointer(ref)

    def has_logits(self, frame_index: int) -> bool:
        """Whether a frame has a record whose logits were not dropped."""
        ref = self.latest_ref(frame_index)
        return ref is not None and self._store.has_logits(ref)

    def has_lost_logits(self, frame_index: int) -> bool:
        """Whether a tracked frame's logits were dropped, and come back when it is tracked again as it was."""
        flags = self.index.flags(frame_index)
        return bool(flags & FrameFlags.RECENT) and not flags & FrameFlags.CHOSEN and not self.has_logits(frame_index)

    def is_prompted(self, frame_index: int) -> bool:
        """Whether a frame has a prompt."""
        return frame_index in self.point_prompts or frame_index in self.mask_prompts

    def is_corrected(self, frame_index: int) -> bool:
        """Whether a tracked frame's result comes from a prompt that still stands."""
        wanted = FrameFlags.RECENT | FrameFlags.FROM_PROMPT
        return self.index.flags(frame_index) & wanted == wanted and self.is_prompted(frame_index)

    def is_locked(self, frame_index: int) -> bool:
        """Whether a frame's record may not be overwritten."""
        return bool(self.index.flags(frame_index) & FrameFlags.LOCKED)

    def conditioning_frames(self) -> dict[int, None]:
        """Return the conditioning frames, in the order in which they became so."""
        return dict(self._conditioning)

    def prompted_frames(self) -> list[int]:
        """List the frames with a prompt, in order."""
        return sorted({*self.point_prompts, *self.mask_prompts})

    # -- changing ------------------------------------------------------------------------------------------------------

    def set_points(self, frame_index: int, prompt: PointPrompts) -> None:
        """Make points the prompt of a frame."""
        self.point_prompts[frame_index] = prompt
        self.mask_prompts.discard(frame_index)
        coords = prompt.coords[0].float().numpy().astype("<f4").tobytes()
        labels = prompt.labels[0].numpy().astype("<i4").tobytes()
        self._store.stage(EntryKind.POINTS, _OBJECT_FRAME.pack(self.number, frame_index) + labels + coords)

    def set_mask(self, frame_index: int, mask: torch.Tensor) -> None:
        """Make a mask (1, 1, H, W), bool, the prompt of a frame."""
        packed, size = packed_mask(mask), (mask.shape[-2], mask.shape[-1])
        self.mask_prompts.put(frame_index, size, packed)
        self.point_prompts.pop(frame_index, None)
        head = _OBJECT_FRAME.pack(self.number, frame_index) + struct.pack("<II", *size)
        self._store.stage(EntryKind.MASK, head + packed)

    def clear_prompts(self, frame_index: int) -> None:
        """Remove a frame's prompt, if there is one."""
        self.point_prompts.pop(frame_index, None)
        self.mask_prompts.discard(frame_index)
        self._store.stage(EntryKind.PROMPTS_CLEARED, _OBJECT_FRAME.pack(self.number, frame_index))

    def put(self, frame_index: int, record: FrameRecord, place: Place) -> None:
        """Write a record and make it the frame's."""
        pinned = record.from_prompt or self.is_locked(frame_index)
        self._put(frame_index, self._store.write(self.number, frame_index, place, record, pinned=pinned), place)

    def change(self, frame_index: int, change: Change) -> None:
        """Change what a frame is."""
        self._store.stage(EntryKind.CHANGE, _CHANGE.pack(self.number, frame_index, change))
        self._change(frame_index, change)

    def lock(self, frame_index: int) -> None:
        """Lock a frame that has a record: it is kept as it is, and conditions the others."""
        ref = self.index.ref(frame_index)
        if ref is not None:
            pinned = self._store.pin(ref)
            if pinned.logits != ref.logits:
                self._move_logits(frame_index, pinned)
                head = _LOGITS.pack(self.number, frame_index, *pinned.logits)
                self._store.stage(EntryKind.LOGITS, head)
        self.change(frame_index, Change.LOCK)

    def mark_tracked(self, frame_index: int, reverse: bool) -> None:
        """Note that propagation went over a frame (the caller puts it into the journal, for many objects at once)."""
        add = FrameFlags.TRACKED | (FrameFlags.REVERSE if reverse else NO_FLAGS)
        self.index.set_flags(frame_index, add=add, remove=NO_FLAGS if reverse else FrameFlags.REVERSE)

    # -- from the journal ----------------------------------------------------------------------------------------------

    def replay(self, kind: int, frame_index: int, payload: bytes) -> None:
        """Apply an entry of the journal."""
        rest = payload[_OBJECT_FRAME.size :]
        if kind == EntryKind.POINTS:
            count = len(rest) // 12
            labels = np.frombuffer(rest, "<i4", count).astype(np.int32)
            coords = np.frombuffer(rest, "<f4", 2 * count, 4 * count).reshape(count, 2).astype(np.float32)
            self.set_points(frame_index, PointPrompts(torch.from_numpy(coords)[None], torch.from_numpy(labels)[None]))
        elif kind == EntryKind.MASK:
            height, width = struct.unpack_from("<II", rest)
            self.mask_prompts.put(frame_index, (height, width), rest[8:])
            self.point_prompts.pop(frame_index, None)
        elif kind == EntryKind.PROMPTS_CLEARED:
            self.clear_prompts(frame_index)
        elif kind == EntryKind.CHANGE:
            self._change(frame_index, Change(rest[0]))
        elif kind == EntryKind.LOGITS:
            ref = self.index.ref(frame_index)
            if ref is not None:
                place = type(ref.logits)(*struct.unpack("<IQI", rest))
                self._move_logits(frame_index, ref._replace(logits=place))

    def replay_record(self, frame_index: int, ref: RecordRef, place: int) -> None:
        """Apply a record of the journal."""
        self._put(frame_index, ref, Place(place))

    def _put(self, frame_index: int, ref: RecordRef, place: Place) -> None:
        if place in (Place.PENDING_RECENT, Place.PENDING_CONDITIONING):
            self.pending[frame_index] = PendingRecord(ref, place == Place.PENDING_CONDITIONING)
        elif place == Place.CONDITIONING:
            self.index.put(frame_index, ref, FrameFlags.CONDITIONING)
            self._conditioning[frame_index] = None
        else:
            chosen = FrameFlags.CHOSEN if place == Place.CHOSEN else NO_FLAGS
            self.index.put(frame_index, ref, FrameFlags.RECENT | chosen)
            self._conditioning.pop(frame_index, None)

    def _move_logits(self, frame_index: int, ref: RecordRef) -> None:
        self.index.put(frame_index, ref, self.index.flags(frame_index) & (FrameFlags.RECORDED | FrameFlags.CHOSEN))

    def _change(self, frame_index: int, change: Change) -> None:
        flags, index = self.index.flags(frame_index), self.index
        if change == Change.COMMIT:
            pending = self.pending.pop(frame_index)
            # a frame that was locked conditions the others, whatever made its record
            conditions = pending.becomes_conditioning or bool(flags & FrameFlags.LOCKED)
            self._put(frame_index, pending.ref, Place.CONDITIONING if conditions else Place.RECENT)
        elif change == Change.DROP_PENDING:
            self.pending.pop(frame_index, None)
        elif change == Change.DEMOTE and flags & FrameFlags.CONDITIONING:
            index.set_flags(frame_index, FrameFlags.RECENT, FrameFlags.CONDITIONING)
            self._conditioning.pop(frame_index, None)
        elif change == Change.PROMOTE and flags & FrameFlags.RECENT:
            index.set_flags(frame_index, FrameFlags.CONDITIONING, FrameFlags.RECENT)
            self._conditioning[frame_index] = None
        elif change == Change.FORGET and flags & FrameFlags.RECENT:
            index.set_flags(frame_index, remove=FrameFlags.RECENT | FrameFlags.FROM_PROMPT)
        elif change == Change.UNTRACK:
            index.set_flags(frame_index, remove=FrameFlags.TRACKED | FrameFlags.REVERSE)
        elif change == Change.LOCK:
            index.set_flags(frame_index, FrameFlags.LOCKED)
            self._change(frame_index, Change.PROMOTE)
        elif change == Change.UNLOCK:
            index.set_flags(frame_index, remove=FrameFlags.LOCKED)
