"""Which frames a tracked frame remembers, and which objects can be computed as one batch.

A frame attends to the memories of all (or the closest) conditioning frames and of a few recent frames, and to the
object pointers of up to sixteen frames (SAM 2, arXiv:2408.00714, section 4, "memory bank"). Everything older can be let
go of: it is encoded anew from the recorded mask should tracking come back to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import torch

from sam2_core.inference.memory_pool import MemoryPool
from sam2_core.inference.tracked_object import TrackedObject
from sam2_core.model.memory_selection import read_memory, recent_frame, select_closest_cond_frames
from sam2_core.model.results import MemoryBank


@dataclass(frozen=True)
class MemoryWindow:
    """The frames that a frame can read.

    Attributes
    ----------
    mask_memories : int
        Number of frames attended to with their mask memory, the conditioning frame included (7 in the official models).
    stride : int
        Distance between the remembered frames, but for the one directly before, which is always remembered.
    pointers : int
        Largest number of object pointers, the conditioning frame's included (16 in the official models).
    conditioning : int
        How many conditioning frames are attended to, the closest ones; -1 for all.
    signed_distance, past_pointers_only : bool
        Options of the same names of the model.
    """

    mask_memories: int
    stride: int
    pointers: int
    conditioning: int = -1
    signed_distance: bool = False
    past_pointers_only: bool = False

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

    def reading(self, tracked: TrackedObject, frame_index: int, num_frames: int | None, reverse: bool) -> Reading:
        """Say what an object reads on a frame.

        Raises
        ------
        InvalidInputError
            It has no conditioning frame.
        """
        conditioning = {frame: frame for frame in tracked.conditioning}
        recent = {frame: frame for frame in self.readable(frame_index, reverse) if frame in tracked.recent}
        found = read_memory(
            frame_index,
            # frames stand for what is found on them: only the choice is made here
            MemoryBank(cast(Any, conditioning), cast(Any, recent)),
            num_maskmem=self.mask_memories,
            max_cond_frames=self.conditioning,
            stride=self.stride,
            max_pointers=self.pointers if num_frames is None else min(num_frames, self.pointers),
            num_frames=num_frames,
            reverse=reverse,
            signed_distance=self.signed_distance,
            past_pointers_only=self.past_pointers_only,
        )
        return Reading(
            tracked,
            cast("tuple[tuple[int, int], ...]", tuple(found.frames)) if self.mask_memories else (),
            cast("tuple[tuple[int, int], ...]", tuple(found.pointers)),
        )

    def kept(self, tracked: TrackedObject, frame_index: int) -> set[int]:
        """Say which frames' memories an object needs at hand once ``frame_index`` is tracked."""
        around = set(range(frame_index - self.span, frame_index + self.span + 1))
        chosen, _ = select_closest_cond_frames(frame_index, tracked.conditioning_frames(), self.conditioning)
        return around | set(chosen)


@dataclass(frozen=True, eq=False)
class Reading:
    """What one object reads on one frame.

    Attributes
    ----------
    tracked : TrackedObject
    frames : tuple of (int, int)
        Index into the temporal encodings, and the frame whose mask memory is read.
    pointers : tuple of (int, int)
        Distance in frames, and the frame whose object pointer is read.
    """

    tracked: TrackedObject
    frames: tuple[tuple[int, int], ...]
    pointers: tuple[tuple[int, int], ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of mask memories and of pointers."""
        return len(self.frames), len(self.pointers)

    def memory(self, memories: MemoryPool, frame: int) -> torch.Tensor | None:
        """Return the mask memory (h * w, C) of a frame; None where it is not at hand."""
        return memories.get(self.tracked.number, frame)

    def pointer(self, frame: int) -> torch.Tensor:
        """Return the object pointer (1, C) of a frame."""
        return self.tracked.pointer(frame)


def grouped_readings(readings: Iterable[Reading], largest_group: int) -> list[list[Reading]]:
    """Group objects that read as many memories and pointers, so that each group runs as one batch.

    Which frames these are may differ from object to object: each brings its own memories and its own temporal
    encodings. So objects prompted on different frames share batches as soon as their windows are full, nothing is
    padded, and every object gets what it would get alone. (Padding all to the longest with masked keys gives the same
    numbers and is slower: attention to a masked key costs what attention to any other costs.)

    Parameters
    ----------
    readings : iterable of Reading
        One for each object.
    largest_group : int
        Upper limit of the size of a batch, which bounds the memory it needs.
    """
    groups: dict[tuple[int, int], list[Reading]] = {}
    for reading in readings:
        groups.setdefault(reading.shape, []).append(reading)
    return [
        group[start : start + largest_group]
        for group in groups.values()
        for start in range(0, len(group), largest_group)
    ]
