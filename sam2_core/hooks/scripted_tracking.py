"""Tracking without a network, for tests of propagators: what the network would say is written down beforehand."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.hooks.frame_spans import Stretch, stretches_from
from sam2_core.hooks.propagator import Candidate, FrameDone, MemoryChoice, Propagator, TrackingDirection, TrackingStep

Mask: TypeAlias = npt.NDArray[np.bool_]
#: What the network says of an object on a frame, given the masks it remembers there (the latest first, those of a
#: person's last): masks with predicted IoU and object score.
Network: TypeAlias = Callable[[Hashable, int, list[Mask]], Sequence[tuple[Mask, float, float]]]


@dataclass(frozen=True, eq=False)
class ScriptedCandidate:
    """A mask that was written down; see :class:`~sam2_core.hooks.Candidate`."""

    object_id: Hashable
    frame: int
    mask: Mask
    predicted_iou: float
    object_score: float


class ScriptedTracking:
    """Frames, objects and a network for a propagator to work with, with all that it did written down.

    Parameters
    ----------
    frame_count : int
    prompts : mapping of hashable to mapping of int to ndarray
        For each object its masks (y, x), bool, of a person's, by frame.
    network : callable
        ``network(object_id, frame, remembered masks) -> [(mask, predicted IoU, object score), …]``.
    start, count : int, optional
        What was asked for.
    done : container of int
        Frames that an earlier run went over.

    Attributes
    ----------
    kept : dict of (hashable, int) to Candidate
        What is on record.
    choices : list of (int, MemoryChoice)
        On which frame what was remembered.
    """

    mask_memories = 6
    pointer_memories = 15

    def __init__(
        self,
        frame_count: int,
        prompts: Mapping[Hashable, Mapping[int, Mask]],
        network: Network,
        *,
        start: int | None = None,
        count: int | None = None,
        done: Iterable[int] = (),
    ) -> None:
        self.frame_count = frame_count
        self.start = start
        self.count = count
        self.kept: dict[tuple[Hashable, int], Candidate] = {
            (object_id, frame): ScriptedCandidate(object_id, frame, mask, 1.0, 10.0)
            for object_id, masks in prompts.items()
            for frame, mask in masks.items()
        }
        self.choices: list[tuple[int, MemoryChoice]] = []
        self._fixed = {object_id: sorted(masks) for object_id, masks in prompts.items()}
        self._network = network
        self._done = frozenset(done)

    def run(self, propagator: Propagator, **options: object) -> list[FrameDone]:
        """Let a propagator do its work, and list what it said is done."""
        return list(propagator.propagate(self, **options))

    @property
    def objects(self) -> list[Hashable]:
        """Who is tracked."""
        return list(self._fixed)

    def passes(self, direction: TrackingDirection) -> list[range]:
        """List the frames to go over."""
        first = min(frames[0] for frames in self._fixed.values()) if self.start is None else self.start
        reach = self.frame_count if self.count is None else self.count
        ahead = range(first, min(first + reach, self.frame_count))
        begin = first - 1 if direction == "both" else first
        behind = range(begin, max(begin - reach, -1), -1)
        return {"forward": [ahead], "backward": [behind], "both": [ahead, behind]}[direction]

    def stretches(self, direction: TrackingDirection) -> list[Stretch]:
        """List the frames to go over, and who is tracked."""
        if self.start is not None:
            return [(frames, None) for frames in self.passes(direction)]
        firsts = {object_id: frames[0] for object_id, frames in self._fixed.items()}
        return stretches_from(firsts, self.count, self.frame_count, direction)

    def fixed_frames(self, object_id: Hashable) -> list[int]:
        """List the frames with a mask of a person's."""
        return self._fixed[object_id]

    def recorded(self, object_id: Hashable, frame: int) -> Candidate | None:
        """Return what is on record."""
        return self.kept.get((object_id, frame))

    def sweep(self, frames: range, objects: Iterable[Hashable] | None = None) -> Iterator[FrameDone]:
        """Track by the latest masks, whatever they are, and keep the one with the highest predicted IoU."""
        for step in self.walk(frames, objects):
            for found in self.candidates(step, [self.usual_memory(step, object_id) for object_id in step.objects]):
                self.keep(max(found, key=lambda candidate: candidate.predicted_iou))
            yield FrameDone(step.frame)

    def walk(self, frames: range, objects: Iterable[Hashable] | None = None) -> Iterator[TrackingStep]:
        """Go over frames."""
        wanted = self.objects if objects is None else list(objects)
        for frame in frames:
            fixed = tuple(object_id for object_id in wanted if frame in self._fixed[object_id])
            others = tuple(object_id for object_id in wanted if object_id not in fixed)
            yield TrackingStep(frame, frames.step < 0, others, fixed, frame in self._done)

    def usual_memory(self, step: TrackingStep, object_id: Hashable) -> MemoryChoice:
        """Remember the frames directly before."""
        behind = 1 if step.reverse else -1
        frames = [step.frame + behind * distance for distance in range(1, self.mask_memories + 1)]
        fixed = self._fixed[object_id]
        return MemoryChoice(
            object_id,
            [frame if (object_id, frame) in self.kept and frame not in fixed else None for frame in frames],
        )

    def candidates(self, step: TrackingStep, choices: Sequence[MemoryChoice]) -> list[list[Candidate]]:
        """Ask the network.

        Raises
        ------
        InvalidInputError
            More is remembered than a model can.
        StateError
            A frame without a record is remembered.
        """
        found: list[list[Candidate]] = []
        for choice in choices:
            if len(choice.masks) > self.mask_memories or len(choice.pointers or ()) > self.pointer_memories:
                raise InvalidInputError(f"Too much is remembered on frame {step.frame}: {choice}.")
            self.choices.append((step.frame, choice))
            object_id = choice.object_id
            read = [self._mask(object_id, one) for one in choice.masks if one is not None]
            read += [self.kept[object_id, frame].mask for frame in self._fixed[object_id]]
            said = self._network(object_id, step.frame, read)
            found.append([ScriptedCandidate(object_id, step.frame, *one) for one in said])
        return found

    def keep(self, candidate: Candidate) -> None:
        """Put a candidate on record.

        Raises
        ------
        StateError
            The mask there is a person's.
        """
        if candidate.frame in self._fixed[candidate.object_id]:
            raise StateError(f"The mask on frame {candidate.frame} is a person's.")
        self.kept[candidate.object_id, candidate.frame] = candidate

    def _mask(self, object_id: Hashable, one: int | Candidate) -> Mask:
        if not isinstance(one, int):
            return one.mask
        if (object_id, one) not in self.kept:
            raise StateError(f"There is no mask of {object_id!r} on frame {one} to be remembered.")
        return self.kept[object_id, one].mask
