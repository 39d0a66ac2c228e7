"""What an object reads on a frame where a propagator chose it."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import SupportsIndex

import torch

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.hooks.propagator import MemoryChoice
from sam2_core.inference.memory_pool import MemoryPool
from sam2_core.inference.tracked_object import TrackedObject
from sam2_core.inference.tracking_candidate import TrackingCandidate
from sam2_core.inference.video_memory import MemoryWindow, Reading
from sam2_core.model.memory_selection import pointer_distances, select_closest_cond_frames


@dataclass(frozen=True, eq=False)
class ChosenReading(Reading):
    """What one object reads on one frame, some of it perhaps not on record.

    Attributes
    ----------
    held : mapping of int to TrackingCandidate
        By frame: what is read there in place of the record.
    """

    held: Mapping[int, TrackingCandidate] = field(default_factory=dict)

    @property
    def on_record(self) -> Reading:
        """The part whose mask memories are those of records."""
        frames = tuple((slot, frame) for slot, frame in self.frames if frame not in self.held)
        return Reading(self.tracked, frames, ())

    def memory(self, memories: MemoryPool, frame: int) -> torch.Tensor | None:
        """Return the mask memory (h * w, C) of a frame; None where it is not at hand."""
        held = self.held.get(frame)
        return super().memory(memories, frame) if held is None else held.memory

    def pointer(self, frame: int) -> torch.Tensor:
        """Return the object pointer (1, C) of a frame."""
        held = self.held.get(frame)
        return super().pointer(frame) if held is None else held.record.object_pointer


def usual_choice(
    window: MemoryWindow, tracked: TrackedObject, frame: int, count: int | None, reverse: bool
) -> MemoryChoice:
    """Write what an object reads on a frame, if nobody chooses, as a choice.

    Parameters
    ----------
    window : MemoryWindow
    tracked : TrackedObject
    frame : int
    count : int, optional
        Length of the stack.
    reverse : bool
    """
    reading = window.reading(tracked, frame, count, reverse)
    conditioning = _conditioning(window, tracked, frame)
    masks: list[int | None] = [None] * max(window.mask_memories - 1, 0)
    for slot, read in reading.frames[len(conditioning) :]:
        masks[slot] = read
    pointers = [read for _, read in reading.pointers if read not in conditioning]
    return MemoryChoice(tracked.object_id, masks, pointers)


def chosen_reading(
    window: MemoryWindow, tracked: TrackedObject, choice: MemoryChoice, frame: int, reverse: bool
) -> ChosenReading:
    """Lay out a choice as the memory attention reads it: conditioning frames first, then the farthest to the nearest.

    Parameters
    ----------
    window : MemoryWindow
    tracked : TrackedObject
    choice : MemoryChoice
    frame : int
        The frame that reads.
    reverse : bool
        Whether tracking goes backwards.

    Raises
    ------
    StateError
        It names a frame without a record, or a candidate of another object or of this frame.
    InvalidInputError
        It names more than the model can read, or two masks of one frame.
    """
    masks = list(choice.masks)
    pointers = [one for one in masks if one is not None] if choice.pointers is None else list(choice.pointers)
    most, most_pointers = max(window.mask_memories - 1, 0), max(window.pointers - 1, 0)
    if len(masks) > most:
        raise InvalidInputError(f"The model remembers {most} masks beside prompted ones; {len(masks)} were chosen.")
    if choice.pointers is not None and len(pointers) > most_pointers:
        raise InvalidInputError(
            f"The model remembers {most_pointers} object pointers beside prompted ones; {len(pointers)} were chosen."
        )
    conditioning = _conditioning(window, tracked, frame)
    held: dict[int, TrackingCandidate] = {}
    frames = [(window.mask_memories - 1, other) for other in conditioning] if window.mask_memories else []
    placed = [(slot, _frame_of(one, tracked, frame, held)) for slot, one in enumerate(masks) if one is not None]
    frames += [(slot, other) for slot, other in reversed(placed) if other not in conditioning]
    read = [*conditioning] if window.pointers else []
    distances = pointer_distances(
        frame, read, -1 if reverse else 1, signed=window.signed_distance, past_only=window.past_pointers_only
    )
    for one in pointers[:most_pointers]:
        other = _frame_of(one, tracked, frame, held)
        if other not in conditioning:
            distances.append((abs(frame - other), other))
    for names in (frames, distances):
        _require_distinct(other for _, other in names)
    return ChosenReading(tracked, tuple(frames), tuple(distances), held)


def _conditioning(window: MemoryWindow, tracked: TrackedObject, frame: int) -> dict[int, None]:
    if not tracked.conditioning:
        raise InvalidInputError(f"Object {tracked.object_id!r} has no prompt to track from: add one first.")
    chosen, _ = select_closest_cond_frames(frame, tracked.conditioning_frames(), window.conditioning)
    return chosen


def _frame_of(one: object, tracked: TrackedObject, reading_frame: int, held: dict[int, TrackingCandidate]) -> int:
    """The frame of what is remembered; a candidate is noted as held."""
    if isinstance(one, TrackingCandidate):
        if one.tracked is not tracked or held.setdefault(one.frame, one) is not one or one.frame == reading_frame:
            raise StateError(
                f"On frame {reading_frame} object {tracked.object_id!r} can remember candidates of its own, one a "
                f"frame and from other frames; got one of {one.object_id!r} on frame {one.frame}."
            )
        return one.frame
    frame = operator.index(one) if isinstance(one, SupportsIndex) else -1
    if frame < 0 or tracked.index.ref(frame) is None:
        raise StateError(f"Object {tracked.object_id!r} has no mask on record on frame {one!r} to be remembered.")
    return frame


def _require_distinct(frames: Iterator[int]) -> None:
    known: set[int] = set()
    for frame in frames:
        if frame in known:
            raise InvalidInputError(f"Frame {frame} was chosen twice to be remembered.")
        known.add(frame)
