"""One propagation as a propagator works with it: sweeps in an order it chooses, or masks and memories it chooses."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.hooks.frame_spans import Stretch, stretches_from
from sam2_core.hooks.propagator import FrameDone, MemoryChoice, TrackingDirection, TrackingStep
from sam2_core.inference.chosen_memory import ChosenReading, chosen_reading, usual_choice
from sam2_core.inference.frame_masks import FrameMasks
from sam2_core.inference.propagation import Propagation, passes_over
from sam2_core.inference.record_index import FrameFlags, RecordRef
from sam2_core.inference.tracked_object import Place, TrackedObject
from sam2_core.inference.tracking_candidate import TrackingCandidate
from sam2_core.inference.video_memory import grouped_readings
from sam2_core.inference.video_state import VideoState
from sam2_core.inference.video_tracker import Cancelled
from sam2_core.model.results import FrameOutput

if TYPE_CHECKING:
    from sam2_core.inference.video_segmenter import VideoSegmenter


@dataclass(eq=False)
class _Frame:
    """A frame that is gone over: who is there, who is looked for, and under which run it is noted as completed."""

    index: int
    reverse: bool
    objects: list[TrackedObject]
    is_done: bool
    run: bytes | None
    active: Sequence[TrackedObject] = ()
    step: TrackingStep | None = None
    is_over: bool = False


class PropagatorTracking:
    """The objects, frames and network of one propagation: the :class:`~sam2_core.hooks.Tracking` of propagators.

    Parameters
    ----------
    predictor : VideoSegmenter
    state : VideoState
        With the prompts of these objects part of their memories.
    wanted : sequence of TrackedObject, optional
        Who is tracked; by default all, with those added meanwhile.
    propagation : Propagation
    start, count : int, optional
        What was asked for.
    run : dict, optional
        What is the same when the propagation is resumed; None where it cannot be.
    """

    def __init__(
        self,
        predictor: VideoSegmenter,
        state: VideoState,
        wanted: Sequence[TrackedObject] | None,
        propagation: Propagation,
        *,
        start: int | None,
        count: int | None,
        run: dict[str, Any] | None,
    ) -> None:
        self._predictor = predictor
        self._state = state
        self._wanted = wanted
        self._propagation = propagation
        self._run = run
        self._pass_count = 0
        self.start = start
        self.count = count
        self._known = {tracked.object_id for tracked in self._present()}
        self._first = min(frame for each in self._present() for frame in each.conditioning) if start is None else start
        self._swept: tuple[FrameDone, FrameMasks] | None = None
        self._frame: _Frame | None = None
        # by frame, what was on record of an object before the propagator kept something there
        self._before: dict[int, dict[int, RecordRef | None]] = {}
        self._remembered: dict[int, set[int]] = {}

    # -- what there is -------------------------------------------------------------------------------------------------

    @property
    def objects(self) -> list[Hashable]:
        """Who is tracked."""
        return [tracked.object_id for tracked in self._present()]

    @property
    def frame_count(self) -> int:
        """How many frames the stack has."""
        return self._state.num_frames

    @property
    def mask_memories(self) -> int:
        """How many masks can be remembered beside those of prompted and locked frames."""
        return max(self._predictor._window.mask_memories - 1, 0)

    @property
    def pointer_memories(self) -> int:
        """How many object pointers can be."""
        return max(self._predictor._window.pointers - 1, 0)

    def passes(self, direction: TrackingDirection) -> list[range]:
        """List the frames to go over; see :meth:`sam2_core.hooks.Tracking.passes`."""
        if direction not in ("forward", "backward", "both"):
            raise InvalidInputError(f'A direction is "forward", "backward" or "both"; got {direction!r}.')
        return [frames for frames, _ in passes_over(self._first, self.count, self.frame_count, direction)]

    def stretches(self, direction: TrackingDirection) -> list[Stretch]:
        """List the frames to go over, and who is tracked; see :meth:`sam2_core.hooks.Tracking.stretches`."""
        passes = self.passes(direction)
        # what is tracked jointly has masks in common, and goes together
        if self.start is not None or self._predictor.joint_objects:
            return [(frames, None) for frames in passes]
        present = self._present()
        self._known.update(tracked.object_id for tracked in present)
        firsts: dict[Hashable, int] = {
            tracked.object_id: min(tracked.conditioning, default=self._first) for tracked in present
        }
        return stretches_from(firsts, self.count, self.frame_count, direction)

    def fixed_frames(self, object_id: Hashable) -> list[int]:
        """List the frames on which an object's mask comes from a prompt or is locked."""
        tracked = self._one(object_id)
        corrected = [frame for frame in tracked.prompted_frames() if self._is_fixed(tracked, frame)]
        return sorted({*tracked.conditioning_frames(), *corrected})

    def recorded(self, object_id: Hashable, frame: int) -> TrackingCandidate | None:
        """Return what is on record of an object on a frame, if anything is."""
        tracked = self._one(object_id)
        ref = tracked.latest_ref(frame) if frame in range(self.frame_count) else None
        if ref is None:
            return None
        return TrackingCandidate(tracked, frame, tracked.tracked.get(frame, False), self._state.records.read(ref))

    # -- tracking as the model was made to -----------------------------------------------------------------------------

    def sweep(self, frames: range, objects: Iterable[Hashable] | None = None) -> Iterator[FrameDone]:
        """Track over frames; see :meth:`sam2_core.hooks.Tracking.sweep`."""
        for frame in self._frames(frames, objects):
            if frame.is_done and frame.index in self._propagation.already:
                self._propagation.note(frame.objects, frame.index)
                continue
            # no context manager is open while the caller has the result: its own settings hold there
            masks = self._predictor._next_frame(
                self._state, frame.objects, frame.index, frame.reverse, frame.is_done, self._propagation
            )
            self._note_completed(frame)
            done = FrameDone(frame.index, tuple(masks.object_ids))
            self._swept = done, masks
            yield done

    # -- tracking as the propagator wants it ---------------------------------------------------------------------------

    def walk(self, frames: range, objects: Iterable[Hashable] | None = None) -> Iterator[TrackingStep]:
        """Go over frames; see :meth:`sam2_core.hooks.Tracking.walk`."""
        if self._predictor.joint_objects:
            raise InvalidInputError(
                "Objects that are tracked jointly have their masks and memories in common, which no propagator can "
                "choose. Build the predictor without joint_objects, or choose another propagator."
            )
        for frame in self._frames(frames, objects):
            self._begin(frame)
            assert frame.step is not None
            try:
                yield frame.step
                # not where it was broken off: such a frame is not completed
                self._close(frame)
            finally:
                self._end(frame)

    def usual_memory(self, step: TrackingStep, object_id: Hashable) -> MemoryChoice:
        """Return what a sweep would have an object remember."""
        count = None if self._state.is_stream else self._state.num_frames
        tracked = self._one(object_id)
        return usual_choice(self._predictor._window, tracked, step.frame, count, step.reverse)

    @torch.inference_mode()
    def candidates(self, step: TrackingStep, choices: Sequence[MemoryChoice]) -> list[list[TrackingCandidate]]:
        """Look for objects on a frame; see :meth:`sam2_core.hooks.Tracking.candidates`."""
        if self._frame is None or self._frame.step is not step:
            raise StateError(f"The step of frame {step.frame} is over; ask for candidates before going on to the next.")
        predictor, state = self._predictor, self._state
        readings = [
            chosen_reading(predictor._window, self._one(choice.object_id), choice, step.frame, step.reverse)
            for choice in choices
        ]
        places = {id(reading): place for place, reading in enumerate(readings)}
        found: list[list[TrackingCandidate]] = [[] for _ in readings]
        for group in grouped_readings(readings, predictor._objects_per_batch(state)):
            self._stop_if_asked()
            chosen = [reading for reading in group if isinstance(reading, ChosenReading)]
            predictor._restore_memories(state, [reading.on_record for reading in chosen])
            self._encode_held(chosen)
            output = predictor._step(
                state, len(group), step.frame, memory=predictor._tokens(state, group), reverse=step.reverse
            )
            for one in self._each_candidate(output):
                records = predictor._records(state, one, from_prompt=False)
                for reading, record in zip(group, records, strict=True):
                    candidate = TrackingCandidate(reading.tracked, step.frame, step.reverse, record)
                    found[places[id(reading)]].append(candidate)
        for reading in readings:
            read = self._remembered.setdefault(reading.tracked.number, set())
            read.update(frame for _, frame in reading.on_record.frames)
        return found

    @torch.inference_mode()
    def keep(self, candidate: TrackingCandidate) -> None:
        """Put a candidate on record; see :meth:`sam2_core.hooks.Tracking.keep`."""
        tracked, frame = candidate.tracked, candidate.frame
        if self._is_fixed(tracked, frame):
            raise StateError(
                f"The mask of object {tracked.object_id!r} on frame {frame} comes from a person; a propagator leaves "
                "it as it is. Go by the objects of each step."
            )
        if self._state.objects.get(tracked.object_id) is not tracked:
            return  # it was removed meanwhile
        self._before.setdefault(frame, {}).setdefault(tracked.number, tracked.latest_ref(frame))
        tracked.put(frame, candidate.record, Place.CHOSEN)
        # what was remembered of the frame is another mask's; it is encoded when it is read
        self._state.memories.discard(tracked.number, frame)

    # -- what the caller of the propagator needs -----------------------------------------------------------------------

    @torch.inference_mode()
    def results(self, done: FrameDone) -> FrameMasks | None:
        """Return the masks of a frame that is done; None where the caller has them already."""
        swept, self._swept = self._swept, None
        if swept is not None and swept[0] is done:
            return swept[1]
        frame = self._frame
        is_known = frame is not None and frame.index == done.frame and frame.is_done
        if frame is not None and frame.index == done.frame:
            self._close(frame)
        before = self._before.pop(done.frame, {})
        self._state.records.flush()
        if is_known and done.frame in self._propagation.already:
            return None
        tracked = self._present(done.objects)
        shown = {each.number for each in tracked}
        changed = {number: ref for number, ref in before.items() if number in shown}
        return self._predictor._results(self._state, done.frame, tracked, changed)

    # -- frames --------------------------------------------------------------------------------------------------------

    def _frames(self, frames: range, objects: Iterable[Hashable] | None) -> Iterator[_Frame]:
        """Begin a pass and go over its frames."""
        subset = None if objects is None else self._numbers(objects)
        reverse = frames.step < 0
        run, last = None, None
        if self._run is not None:
            description = self._run | {"frames": [frames.start, frames.stop, frames.step], "pass": self._pass_count}
            run, last = self._state.begin_run(self._chosen(subset), description)
            self._state.records.flush()
        self._pass_count += 1
        self._propagation.begin(frames)
        for index in frames:
            self._stop_if_asked()
            if not 0 <= index < self.frame_count:
                raise InvalidInputError(f"There is no frame {index}; the stack has {self.frame_count}.")
            present = self._chosen(subset)
            if not present:
                return
            is_done = last is not None and (index >= last if reverse else index <= last)
            yield _Frame(index, reverse, present, is_done, run)

    @torch.inference_mode()
    def _begin(self, frame: _Frame) -> None:
        """Say who is looked for on a frame."""
        predictor, index = self._predictor, frame.index
        if any(tracked.pending for tracked in frame.objects):
            predictor._take_prompts_in(self._state, frame.objects)
        frame.active = [
            tracked
            for tracked in frame.objects
            if tracked.conditioning and not self._propagation.has_given_up(tracked, index)
        ]
        fixed = [tracked for tracked in frame.active if self._is_fixed(tracked, index)]
        for tracked in fixed:
            if index in tracked.conditioning:
                predictor._clear_around_prompt(self._state, tracked, index)
        frame.step = TrackingStep(
            index,
            frame.reverse,
            tuple(tracked.object_id for tracked in frame.active if tracked not in fixed),
            tuple(tracked.object_id for tracked in fixed),
            frame.is_done,
        )
        self._frame = frame

    def _close(self, frame: _Frame) -> None:
        """Note that a frame was gone over, once."""
        if frame.is_over:
            return
        frame.is_over = True
        there = [each for each in frame.active if self._state.objects.get(each.object_id) is each]
        if there and not frame.is_done:
            self._state.mark_tracked(there, frame.index, frame.reverse)
        self._propagation.count_empty(there, frame.index)
        self._note_completed(frame)

    def _end(self, frame: _Frame) -> None:
        """Go on from a frame: let go of memories that are not read soon."""
        if self._frame is frame:
            self._frame = None
        for tracked in frame.active:
            read = self._remembered.pop(tracked.number, set())
            kept = self._predictor._window.kept(tracked, frame.index)
            self._state.memories.keep_only(tracked.number, kept | read)

    def _note_completed(self, frame: _Frame) -> None:
        if frame.run is not None and not frame.is_done:
            self._state.finish_frame(frame.run, frame.index)

    def _stop_if_asked(self) -> None:
        if self._propagation.should_stop is not None and self._propagation.should_stop():
            raise Cancelled

    # -- objects -------------------------------------------------------------------------------------------------------

    def _present(self, object_ids: Iterable[Hashable] | None = None) -> list[TrackedObject]:
        """Who is there: of those that are tracked, or of some of them."""
        objects = self._state.objects
        if object_ids is not None:
            return [self._one(object_id) for object_id in object_ids if object_id in objects]
        wanted = objects.values() if self._wanted is None else self._wanted
        return [tracked for tracked in wanted if objects.get(tracked.object_id) is tracked]

    def _numbers(self, object_ids: Iterable[Hashable]) -> set[int]:
        """The numbers of objects; those that were removed meanwhile are left out."""
        gone = self._known - self._state.objects.keys()
        return {self._one(object_id).number for object_id in object_ids if object_id not in gone}

    def _chosen(self, subset: set[int] | None) -> list[TrackedObject]:
        return [tracked for tracked in self._present() if subset is None or tracked.number in subset]

    def _one(self, object_id: Hashable) -> TrackedObject:
        tracked = self._state.existing_object(object_id)
        if self._wanted is not None and tracked not in self._wanted:
            raise StateError(f"Object {object_id!r} is not one of those that are tracked.")
        return tracked

    def _is_fixed(self, tracked: TrackedObject, frame: int) -> bool:
        """Whether a mask stays: of a conditioning frame, which locked ones are, or a correction that counts."""
        if tracked.index.flags(frame) & (FrameFlags.CONDITIONING | FrameFlags.LOCKED):
            return True
        return self._propagation.keep_corrections and tracked.is_corrected(frame)

    # -- the network ---------------------------------------------------------------------------------------------------

    def _encode_held(self, readings: Sequence[ChosenReading]) -> None:
        """Encode the candidates whose masks are read and were not before."""
        missing: dict[int, dict[int, TrackingCandidate]] = {}
        for reading in readings:
            for _, frame in reading.frames:
                held = reading.held.get(frame)
                if held is not None and held.memory is None:
                    missing.setdefault(frame, {})[id(held)] = held
        size = 1 if self._predictor.device.type == "cpu" else self._predictor._objects_per_batch(self._state)
        for frame, by_id in missing.items():
            held_there = list(by_id.values())
            for start in range(0, len(held_there), size):
                batch = held_there[start : start + size]
                records = [candidate.record for candidate in batch]
                memories = self._predictor._encoded(self._state, frame, records, batch[0].record.from_prompt)
                for candidate, memory in zip(batch, memories, strict=True):
                    candidate.memory = memory.flatten(1).transpose(0, 1).to(self._state.storage_device)

    def _each_candidate(self, output: FrameOutput) -> Iterator[FrameOutput]:
        """Take an output of B objects apart into its M candidates, each as if it were the only one."""
        count, tokens = output.predicted_ious.shape[1], output.candidate_tokens
        best = output.predicted_ious.argmax(dim=1)
        for place in range(count):
            pointer = output.object_pointer
            if tokens is not None and tokens.shape[1] == count > 1:
                other = self._predictor.object_pointer(tokens[:, place], output.object_score_logits)
                # where it is the best one, the very bits that a sweep would have put on record
                pointer = torch.where((best == place)[:, None], pointer, other)
            one = slice(place, place + 1)
            yield replace(
                output,
                low_res_masks=output.low_res_multimasks[:, one],
                predicted_ious=output.predicted_ious[:, one],
                object_pointer=pointer,
            )
