"""Which frames a tracked frame remembers, and how long their memories stay resident.

A frame attends to the memories of all (or the closest) conditioning frames and of a few recent frames, and to the
object pointers of up to sixteen frames (SAM 2, arXiv:2408.00714, section 4, "memory bank"). Everything older can be let
go of: it is encoded anew from the recorded mask should tracking come back to it.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sam2_core.model.memory_selection import recent_frame

if TYPE_CHECKING:
    from sam2_core.inference.video_state import FrameRecord, TrackedObject


@dataclass(frozen=True)
class MemoryWindow:
    """The recent frames that a frame can read.

    Attributes
    ----------
    mask_memories : int
        Number of frames attended to with their mask memory, the conditioning frame included (7 in the official models).
    stride : int
        Distance between the remembered frames, but for the one directly before, which is always remembered.
    pointers : int
        Largest number of object pointers, the conditioning frame's included (16 in the official models).
    """

    mask_memories: int
    stride: int
    pointers: int

    @property
    def span(self) -> int:
        """How many frames back the oldest readable mask memory can lie."""
        return 1 + self.stride * max(self.mask_memories - 1, 0)

    def memory_frames(self, frame_index: int, reverse: bool) -> list[int]:
        """List the frames whose mask memory ``frame_index`` reads, nearest first.

        With a stride of r these are the frame directly before and the nearest multiples of r before that one; "before"
        is in the order of tracking, so the frames after it in time when ``reverse``.
        """
        step = -1 if reverse else 1
        return [recent_frame(frame_index, distance, self.stride, step) for distance in range(1, self.mask_memories)]

    def pointer_frames(self, frame_index: int, reverse: bool) -> list[int]:
        """List the frames whose object pointer ``frame_index`` reads, nearest first."""
        direction = 1 if reverse else -1
        return [frame_index + direction * step for step in range(1, self.pointers)]

    def readable(self, frame_index: int, reverse: bool) -> list[int]:
        """List, in order of time, the frames of which ``frame_index`` reads anything."""
        return sorted({*self.memory_frames(frame_index, reverse), *self.pointer_frames(frame_index, reverse)})


def objects_by_memory(
    objects: Iterable[TrackedObject], frames: Sequence[int], largest_group: int
) -> list[list[TrackedObject]]:
    """Group objects that remember the same frames, so that each group runs as one batch.

    Objects are independent of each other: a batch gives every one of them what it would get alone. Those that remember
    different frames would need padding, so they go into batches of their own.

    Parameters
    ----------
    objects : iterable of TrackedObject
    frames : sequence of int
        The recent frames that the frame about to be tracked can read.
    largest_group : int
        Upper limit of the size of a batch, which bounds the memory it needs.
    """
    groups: dict[tuple[tuple[int, ...], tuple[int, ...]], list[TrackedObject]] = {}
    for tracked in objects:
        remembered = tuple(frame for frame in frames if frame in tracked.recent)
        groups.setdefault((tuple(tracked.conditioning), remembered), []).append(tracked)
    return [
        group[start : start + largest_group]
        for group in groups.values()
        for start in range(0, len(group), largest_group)
    ]


class ResidentMemories:
    """A budget for the memories of tracked frames; the oldest beyond it are let go of.

    Records are held weakly: one that is overwritten or whose object is removed leaves by itself.

    Parameters
    ----------
    budget_bytes : int
        Size up to which memories outside the window are kept. Those inside the window of the frame being tracked stay,
        whatever they add up to.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self.total_bytes = 0
        self._entries: deque[tuple[weakref.ref[FrameRecord], int, int]] = deque()

    def add(self, record: FrameRecord, frame_index: int) -> None:
        """Count a record that holds a memory."""
        size = record.resident_bytes
        if size:
            self._entries.append((weakref.ref(record), frame_index, size))
            self.total_bytes += size

    def trim(self, is_needed: Callable[[int], bool]) -> None:
        """Compact the oldest records until the budget is met.

        Parameters
        ----------
        is_needed : callable
            Says of a frame index whether its memory has to stay.
        """
        kept: list[tuple[weakref.ref[FrameRecord], int, int]] = []
        while self._entries and self.total_bytes > self.budget_bytes:
            entry = self._entries.popleft()
            reference, frame_index, size = entry
            record = reference()
            if record is not None and is_needed(frame_index):
                kept.append(entry)
                continue
            if record is not None:
                record.compact()
            self.total_bytes -= size
        self._entries.extendleft(reversed(kept))
