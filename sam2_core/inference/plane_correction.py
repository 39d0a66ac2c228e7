"""Correcting what was tracked through parts of a plane: locking frames, and carrying a correction outward."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Generic

import numpy as np

from sam2_core.errors import StateError
from sam2_core.inference.place_tracker import State
from sam2_core.inference.plane_object import PlaneObject, PlanePrompt
from sam2_core.inference.tile_masks import ObjectMask, PlaneMasks
from sam2_core.inference.tile_plane import Following, PlaneTracker
from sam2_core.inference.video_correction import UNCHANGED_FRAMES
from sam2_core.inference.video_prompts import checked_frame_index
from sam2_core.inference.video_tracker import Cancelled


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
        these frames came from the mask that was corrected, and does not count any more.

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
        return self._recomputed(state, tracked, frame_index, should_stop)

    def _recomputed(
        self, state: State, tracked: PlaneObject, start: int, should_stop: Callable[[], bool] | None
    ) -> Iterator[PlaneMasks]:
        for step in (1, -1):
            stop = self._end_of_correction(state, tracked, start, step)
            for frame in range(start + step, stop, step):
                self._forget_handed(state, tracked, frame)
            # where the correction says that it is, not where it was taken to be
            following = self._followed_from(state, [tracked], start, start)
            unchanged = 0
            for frame in range(start + step, stop, step):
                is_there = state.objects.get(tracked.object_id) is tracked
                if not is_there or (should_stop is not None and should_stop()):
                    return
                before = self._mask_on(state, tracked, frame)
                places = sorted(self._places(following, [tracked], frame))
                try:
                    self._follow(state, following, [tracked], places, frame, frame - step, should_stop)
                except Cancelled:
                    return
                state.commit()
                after = self._mask_on(state, tracked, frame)
                unchanged = unchanged + 1 if _is_same(before, after) else 0
                yield PlaneMasks(frame, state.frame_size, [after])
                if unchanged == UNCHANGED_FRAMES:
                    break

    def _end_of_correction(self, state: State, tracked: PlaneObject, start: int, step: int) -> int:
        """The first frame, in a direction, that a correction does not reach: fixed, or never tracked."""
        fixed = {*tracked.prompted_frames(), *tracked.locked}
        frame = start + step
        while 0 <= frame < state.num_frames and frame not in fixed and state.records.parts(frame, tracked.number):
            frame += step
        return frame

    def _forget_handed(self, state: State, tracked: PlaneObject, frame_index: int) -> None:
        """Take back what places were handed on a frame, by each other or by a lock."""
        for place in tracked.prompted_on(frame_index):
            if all(prompt.is_handed for prompt in tracked.prompts[place][frame_index]):
                tracked.forget(place, frame_index)
                self._leave(state, tracked, place)

    def _mask_on(self, state: State, tracked: PlaneObject, frame_index: int) -> ObjectMask:
        (found,) = self._results(state, frame_index, [tracked]).objects
        return found


def _is_same(one: ObjectMask, other: ObjectMask) -> bool:
    return one.window == other.window and np.array_equal(one.mask, other.mask)
