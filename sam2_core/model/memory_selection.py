"""Which remembered frames and pointers a frame looks at (SAM 2, arXiv:2408.00714, section 4, "memory bank")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sam2_core.errors import InvalidInputError
from sam2_core.model.results import FrameOutput, MemoryBank

T = TypeVar("T")


def select_closest_cond_frames(
    frame_idx: int, cond_frame_outputs: Mapping[int, T], max_cond_frame_num: int
) -> tuple[dict[int, T], dict[int, T]]:
    """Choose the conditioning frames nearest to a frame.

    The nearest before and the nearest at or after the frame come first, then the others by distance.

    Parameters
    ----------
    frame_idx : int
    cond_frame_outputs : mapping of int to anything
        By frame index.
    max_cond_frame_num : int
        How many to choose, at least 2; -1 for all.

    Returns
    -------
    selected, unselected : dict

    Raises
    ------
    InvalidInputError
        ``max_cond_frame_num`` is below 2 and some frames would have to be left out.
    """
    if max_cond_frame_num == -1 or len(cond_frame_outputs) <= max_cond_frame_num:
        return dict(cond_frame_outputs), {}
    if max_cond_frame_num < 2:
        raise InvalidInputError(f"at least 2 conditioning frames are needed (or -1 for all), got {max_cond_frame_num}")
    before = max((t for t in cond_frame_outputs if t < frame_idx), default=None)
    after = min((t for t in cond_frame_outputs if t >= frame_idx), default=None)
    chosen = [t for t in (before, after) if t is not None]
    others = sorted((t for t in cond_frame_outputs if t not in chosen), key=lambda t: abs(t - frame_idx))
    chosen += others[: max_cond_frame_num - len(chosen)]
    rest = {t: out for t, out in cond_frame_outputs.items() if t not in chosen}
    return {t: cond_frame_outputs[t] for t in chosen}, rest


@dataclass(frozen=True)
class MemoryReading:
    """What one frame reads from a memory bank.

    Attributes
    ----------
    frames : list of (int, FrameOutput)
        Index into the temporal encodings, and the frame.
    pointers : list of (int, FrameOutput)
        Distance in frames, and the frame.
    """

    frames: list[tuple[int, FrameOutput]]
    pointers: list[tuple[int, FrameOutput]]


def recent_frame(frame_idx: int, distance: int, stride: int, step: int) -> int:
    """Return the frame that is the ``distance``-th memory before ``frame_idx`` in the direction of tracking.

    The last frame is always remembered; earlier ones are taken from every ``stride``-th frame (Cheng and Schwing 2022,
    XMem, arXiv:2207.07115). ``step`` is 1 forward, -1 backward.
    """
    if distance == 1:
        return frame_idx - step
    # The last multiple of the stride that is at least two frames back, rounded away from this frame.
    start = ((frame_idx * step - 2) // stride) * stride * step
    return start - (distance - 2) * stride * step


def pointer_distances(
    frame_idx: int, frames: Iterable[int], step: int, *, signed: bool, past_only: bool
) -> list[tuple[int, int]]:
    """Say how far from a frame the object pointers of others are.

    Parameters
    ----------
    frame_idx : int
    frames : iterable of int
        The others.
    step : int
        1 forward, -1 backward.
    signed : bool
        Distances to frames that lie ahead are negative.
    past_only : bool
        Leave out frames that lie ahead.

    Returns
    -------
    list of (int, int)
        Distance, and the frame.
    """
    distances = [((frame_idx - index) * step, index) for index in frames]
    return [
        (distance if signed else abs(distance), index)
        for distance, index in distances
        if not (past_only and distance < 0)
    ]


def read_memory(
    frame_idx: int,
    bank: MemoryBank,
    *,
    num_maskmem: int,
    max_cond_frames: int,
    stride: int,
    max_pointers: int,
    num_frames: int | None,
    reverse: bool,
    signed_distance: bool,
    past_pointers_only: bool,
) -> MemoryReading:
    """Choose what a frame reads.

    Parameters
    ----------
    frame_idx : int
    bank : MemoryBank
    num_maskmem : int
        Memories besides further conditioning frames: one conditioning and ``num_maskmem - 1`` recent frames.
    max_cond_frames : int
        Conditioning frames to attend to, -1 for all.
    stride : int
        Temporal stride of recent memories.
    max_pointers : int
        Bound of pointer distances; 0 for no pointers.
    num_frames : int, optional
        Length of the stack.
    reverse : bool
        Tracking runs backwards.
    signed_distance : bool
        Distances to conditioning frames that lie ahead are negative.
    past_pointers_only : bool
        Leave out pointers of conditioning frames that lie ahead.

    Raises
    ------
    InvalidInputError
        The bank has no conditioning frame.
    """
    if not bank.conditioning:
        raise InvalidInputError(f"frame {frame_idx} has no conditioning frame to look at: add a prompt first")
    step = -1 if reverse else 1
    chosen, others = select_closest_cond_frames(frame_idx, bank.conditioning, max_cond_frames)
    frames = [(num_maskmem - 1, out) for out in chosen.values()]
    for distance in range(num_maskmem - 1, 0, -1):
        index = recent_frame(frame_idx, distance, stride, step)
        found = bank.recent.get(index, others.get(index))
        if found is not None:
            frames.append((distance - 1, found))

    pointers = []
    if max_pointers:
        distances = pointer_distances(frame_idx, chosen, step, signed=signed_distance, past_only=past_pointers_only)
        pointers = [(distance, chosen[index]) for distance, index in distances]
    for distance in range(1, max_pointers):
        index = frame_idx - distance * step
        if index < 0 or (num_frames is not None and index >= num_frames):
            break
        found = bank.recent.get(index, others.get(index))
        if found is not None:
            pointers.append((distance, found))
    return MemoryReading(frames, pointers)
