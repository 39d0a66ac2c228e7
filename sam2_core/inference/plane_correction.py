"""Correcting what was tracked through parts of a plane: locking frames, and carrying a correction outward."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Generic

import numpy as np

from sam2_core.errors import StateError
from sam2_core.inference.carried_correction import CarriedCorrection
from sam2_core.inference.place_tracker import State
from sam2_core.inference.plane_object import PlaneObject, PlanePrompt
from sam2_core.inference.tile_masks import ObjectMask, PlaneMasks
from sam2_core.inference.tile_plane import Following, PlaneTracker
from sam2_core.inference.video_prompts import checked_frame_index


class PlaneCorrection(PlaneTracker[State, Following], Generic[State, Following]):
    """Locking and correcting, by the names of :class:`SAM2VideoPredictor`, for trackers that look at parts."""

    def lock_frame(self, state: State, object_id: Hashable, frame_index: int, locked: bool = True) -> None:
        """Lock an object's mask on a frame: it is never overwritten, and all other frames attend to it.

        Each place that found a part of it takes that part as mask prompt.

        Parameters
        ----------
        state : PlaneState
            The stack, from :meth:`init_state`.
        object_id : hashable
            The object.
        frame_index : int
            Index of the frame, from 0; it has to have a result for the object. A new prompt may still change it.
        locked : bool
            False unlocks it: it stays as it is until it is tracked again, and conditions the others only if a prompt
            had made it do so.

        Raises
        ------
        StateError
            There is no such object, or it has no result on the frame.
        InvalidTypeError, InvalidInputError
            ``frame_index`` is no integer, or there is no such frame.
        """
        frame_index = checked_frame_index(frame_index, state.num_frames)
        tracked = state.object(object_id)
        parts = state.records.parts(frame_index, tracked.number)
        if not parts:
            raise StateError(
                f"Object {object_id!r} has no mask on frame {frame_index} to lock. Prompt it there, or track to there."
            )
        if locked and not tracked.is_locked(frame_index):
            tracked.lock(frame_index)
            for place, part in parts.items():
                if part.window.area and place not in tracked.prompted_on(frame_index):
                    self._answer(state, tracked, frame_index, place, PlanePrompt(mask=part, is_handed=True))
        elif not locked and tracked.is_locked(frame_index):
            tracked.unlock(frame_index)
            self._forget_handed(state, tracked, frame_index)
        state.commit()

    def recompute(
        self,
        state: State,
        object_id: Hashable,
        frame_index: int,
        *,
        should_stop: Callable[[], bool] | None = None,
    ) -> Iterator[PlaneMasks]:
        """Carry a correction outward from the corrected frame, forward and then backward.

        In each direction it goes over frames that were tracked, until the next prompted or locked frame, the end of
        what was tracked, or until seven masks in a row come out unchanged. What places had handed to each other on
        these frames came from the mask that was corrected, and does not count any more; on frames beyond these it
        stays.

        Parameters
        ----------
        state : PlaneState
            The stack, from :meth:`init_state`.
        object_id : hashable
            The object that was corrected.
        frame_index : int
            Index of the frame on which it was, from 0.
        should_stop : callable, optional
            Asked before each frame and each place; once it says True the iteration ends.

        Returns
        -------
        iterator of PlaneMasks
            For each frame computed anew, when it is asked for, this object alone.

        Raises
        ------
        StateError
            There is no such object, or it has no result on this frame. At the call.
        InvalidTypeError, InvalidInputError
            ``frame_index`` is no integer, or there is no such frame. At the call.
        """
        frame_index = checked_frame_index(frame_index, state.num_frames)
        tracked = state.object(object_id)
        if not state.records.parts(frame_index, tracked.number):
            raise StateError(f"Object {object_id!r} has no mask on frame {frame_index} to carry on. Prompt it there.")
        return _PlaneCorrection(self, state, tracked, frame_index, should_stop).frames(should_stop)

    def _forget_handed(self, state: State, tracked: PlaneObject, frame_index: int) -> dict[int, list[PlanePrompt]]:
        """Take back what places were handed on a frame, by each other or by a lock; return it by place."""
        taken = {}
        for place in tracked.prompted_on(frame_index):
            prompts = tracked.prompts[place][frame_index]
            if all(prompt.is_handed for prompt in prompts):
                taken[place] = prompts
                tracked.forget(place, frame_index)
                self._leave(state, tracked, place)
        return taken

    def _hand_again(
        self, state: State, tracked: PlaneObject, frame_index: int, handed: Mapping[int, Sequence[PlanePrompt]]
    ) -> None:
        """Undo :meth:`_forget_handed`."""
        for place, prompts in handed.items():
            for prompt in prompts:
                tracked.add(place, frame_index, prompt)
            # when it is next looked at, what was said there is repeated
            self._leave(state, tracked, place)


class _PlaneCorrection(CarriedCorrection[PlaneMasks], Generic[State, Following]):
    """A correction of an object that is tracked through parts of the plane."""

    def __init__(
        self,
        tracker: PlaneCorrection[State, Following],
        state: State,
        tracked: PlaneObject,
        start: int,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        super().__init__(start, state.num_frames)
        self._tracker, self._state, self._tracked = tracker, state, tracked
        self._should_stop = should_stop
        self._following: Following
        #: What places had handed on frames that are not computed anew yet, by frame and place.
        self._put_aside: dict[int, dict[int, list[PlanePrompt]]] = {}

    def is_there(self) -> bool:
        return self._state.objects.get(self._tracked.object_id) is self._tracked

    def may_change(self, frame: int) -> bool:
        tracked = self._tracked
        is_fixed = frame in tracked.prompted_frames() or tracked.is_locked(frame)
        return not is_fixed and bool(self._state.records.parts(frame, tracked.number))

    def set_out(self, step: int) -> None:
        tracker, state, tracked = self._tracker, self._state, self._tracked
        frame = self.start + step
        while 0 <= frame < self.frame_count and self.may_change(frame):
            handed = tracker._forget_handed(state, tracked, frame)
            if handed:
                self._put_aside[frame] = handed
            frame += step
        # where the correction says that it is, not where it was taken to be
        self._following = tracker._followed_from(state, [tracked], self.start, self.start)

    def compute(self, frame: int, step: int) -> tuple[PlaneMasks, bool]:
        tracker, state, tracked, following = self._tracker, self._state, self._tracked, self._following
        before = self._mask_on(frame)
        places = sorted(tracker._places(following, [tracked], frame))
        tracker._follow(state, following, [tracked], places, frame, frame - step, self._should_stop)
        self._put_aside.pop(frame, None)
        state.commit()
        after = self._mask_on(frame)
        return PlaneMasks(frame, state.frame_size, [after]), not _is_same(before, after)

    def come_to_rest(self) -> None:
        left, self._put_aside = self._put_aside, {}
        if not (left and self.is_there()):
            return
        for frame, handed in left.items():
            if self.may_change(frame):  # else what a person said there meanwhile is what counts
                self._tracker._hand_again(self._state, self._tracked, frame, handed)
        self._state.commit()

    def _mask_on(self, frame: int) -> ObjectMask:
        (found,) = self._tracker._results(self._state, frame, [self._tracked]).objects
        return found


def _is_same(one: ObjectMask, other: ObjectMask) -> bool:
    return one.window == other.window and np.array_equal(one.mask, other.mask)
