"""Where an object's records lie and what each frame is to it: 30 bytes a frame, in pages made when first needed."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntFlag
from typing import Any, NamedTuple

import numpy as np

from sam2_core.inference.record_segments import SegmentPlace

PAGE_FRAMES = 256
_ENTRY = np.dtype(
    [
        ("facts", "<u8"),
        ("size", "<u4"),
        ("segment", "<u4"),
        ("offset", "<u8"),
        ("length", "<u4"),
        ("flags", "<u2"),
    ]
)


class FrameFlags(IntFlag):
    """What a frame is to an object."""

    #: Its record is attended to for a while.
    RECENT = 1
    #: Its record is attended to by every other frame.
    CONDITIONING = 2
    #: Its record may not be overwritten.
    LOCKED = 4
    #: Propagation went over it,
    TRACKED = 8
    #: and did so backwards.
    REVERSE = 16
    #: Its record was made by a prompt.
    FROM_PROMPT = 32
    #: A propagator chose its mask, or what was remembered for it: tracking it again may give another.
    CHOSEN = 64
    RECORDED = RECENT | CONDITIONING


NO_FLAGS = FrameFlags(0)


class RecordRef(NamedTuple):
    """Where a record is written.

    Attributes
    ----------
    facts, size : int
        Offset and length, in the journal, of everything but the logits.
    logits : SegmentPlace
    from_prompt : bool
    """

    facts: int
    size: int
    logits: SegmentPlace
    from_prompt: bool


class RecordIndex:
    """One object's frames: flags, and references to the records of those that have one."""

    def __init__(self) -> None:
        self._pages: dict[int, np.ndarray[Any, Any]] = {}

    @property
    def nbytes(self) -> int:
        """Bytes it takes in memory."""
        return len(self._pages) * PAGE_FRAMES * _ENTRY.itemsize

    def flags(self, frame: int) -> FrameFlags:
        """Return the flags of a frame; none where it is not known."""
        page = self._pages.get(frame // PAGE_FRAMES)
        return NO_FLAGS if page is None else FrameFlags(int(page["flags"][frame % PAGE_FRAMES]))

    def set_flags(self, frame: int, add: FrameFlags = NO_FLAGS, remove: FrameFlags = NO_FLAGS) -> None:
        """Change flags of a frame."""
        page = self._page(frame)
        page["flags"][frame % PAGE_FRAMES] = (self.flags(frame) & ~remove) | add

    def ref(self, frame: int) -> RecordRef | None:
        """Return the reference of a frame's record, if it has one."""
        flags = self.flags(frame)
        if not flags & FrameFlags.RECORDED:
            return None
        entry = self._pages[frame // PAGE_FRAMES][frame % PAGE_FRAMES]
        place = SegmentPlace(int(entry["segment"]), int(entry["offset"]), int(entry["length"]))
        return RecordRef(int(entry["facts"]), int(entry["size"]), place, bool(flags & FrameFlags.FROM_PROMPT))

    def put(self, frame: int, ref: RecordRef, place: FrameFlags) -> None:
        """Note a record as the one of a frame, recent (chosen or not) or conditioning; what else is known stays."""
        page, row = self._page(frame), frame % PAGE_FRAMES
        flags = self.flags(frame) & ~(FrameFlags.RECORDED | FrameFlags.FROM_PROMPT | FrameFlags.CHOSEN) | place
        if ref.from_prompt:
            flags |= FrameFlags.FROM_PROMPT
        page[row] = (ref.facts, ref.size, *ref.logits, flags)

    def frames(self, wanted: FrameFlags) -> Iterator[int]:
        """Go through the frames that have any of the flags, in order of time."""
        for number in sorted(self._pages):
            for row in np.flatnonzero(self._pages[number]["flags"] & int(wanted)).tolist():
                yield number * PAGE_FRAMES + row

    def count(self, wanted: FrameFlags) -> int:
        """How many frames have any of the flags."""
        return sum(int(np.count_nonzero(page["flags"] & int(wanted))) for page in self._pages.values())

    def forget_before(self, frame: int, keep: frozenset[int]) -> None:
        """Let go of whole pages before a frame, but for those that hold a frame to keep."""
        kept = {other // PAGE_FRAMES for other in keep}
        for number in [number for number in self._pages if number < frame // PAGE_FRAMES and number not in kept]:
            del self._pages[number]

    def _page(self, frame: int) -> np.ndarray[Any, Any]:
        page = self._pages.get(frame // PAGE_FRAMES)
        if page is None:
            page = self._pages[frame // PAGE_FRAMES] = np.zeros(PAGE_FRAMES, _ENTRY)
        return page
