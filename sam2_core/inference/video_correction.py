"""Correcting what was tracked: locking frames, taking prompts back, and carrying a correction outward."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator

import torch

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.inference.carried_correction import CarriedCorrection
from sam2_core.inference.frame_masks import FrameMasks
from sam2_core.inference.tracked_object import Change, TrackedObject
from sam2_core.inference.video_prompts import checked_frame_index
from sam2_core.inference.video_segmenter import VideoSegmenter
from sam2_core.inference.video_state import VideoState


class VideoCorrection(VideoSegmenter):
    """Locking and correcting: the part of :class:`SAM2VideoPredictor`, whose options it takes, for revising."""

    @torch.inference_mode()
    def lock_frame(self, state: VideoState, object_id: Hashable, frame_index: int, locked: bool = True) -> None:
        """Lock an object's mask on a frame: it is never overwritten, and all other frames attend to it.

        Parameters
        ----------
        state : VideoState
            The video, from :meth:`~sam2_core.SAM2VideoPredictor.init_state`.
        object_id : hashable
            The object.
        frame_index : int
            Index of the frame, from 0; it has to have a result for the object. A new prompt may still change it.
        locked : bool
            False unlocks it: it stays as it is until it is tracked again, and conditions the others only if a prompt
            had made it a conditioning frame.

        Raises
        ------
        StateError
            There is no such object, or it has no result on the frame.
        InvalidTypeError, InvalidInputError
            ``frame_index`` is no integer, or there is no such frame.
        """
        frame_index = checked_frame_index(frame_index, state.num_frames)
        tracked = state.existing_object(object_id)
        if frame_index in tracked.pending:
            self._take_prompts_in(state, list(state.objects.values()) if self.joint_objects else [tracked])
        if tracked.index.ref(frame_index) is None:
            raise StateError(
                f"Object {object_id!r} has no mask on frame {frame_index} to lock. Prompt it there, or track to there."
            )
        if locked and not tracked.is_locked(frame_index):
            self._restore_logits(state, tracked, frame_index)
            tracked.lock(frame_index)
        elif not locked and tracked.is_locked(frame_index):
            tracked.change(frame_index, Change.UNLOCK)
            if not tracked.is_prompted(frame_index):
                tracked.change(frame_index, Change.DEMOTE)
        state.records.flush()

    def recompute(
        self,
        state: VideoState,
        object_id: Hashable,
        frame_index: int,
        *,
        should_stop: Callable[[], bool] | None = None,
    ) -> Iterator[FrameMasks]:
        """Carry a correction outward from the corrected frame, forward and then backward.

        In each direction it goes over frames that were tracked, until the next prompted or locked frame, the end of
        what was tracked, or until seven masks in a row come out unchanged.

        Parameters
        ----------
        state : VideoState
            The video, from :meth:`~sam2_core.SAM2VideoPredictor.init_state`.
        object_id : hashable
            The object that was corrected.
        frame_index : int
            Index of the frame on which it was, from 0.
        should_stop : callable, optional
            Asked before each frame; once it says True the iteration ends.

        Returns
        -------
        iterator of FrameMasks
            For each frame computed anew, when it is asked for, this object alone; its box is where the mask changed.

        Raises
        ------
        StateError
            There is no such object, it has no prompt to track from, or no result on this frame. At the call.
        InvalidTypeError, InvalidInputError
            ``frame_index`` is no integer, or there is no such frame. At the call.
        """
        frame_index = checked_frame_index(frame_index, state.num_frames)
        tracked = state.existing_object(object_id)
        if self.joint_objects:
            raise InvalidInputError("Objects that are tracked jointly cannot be computed anew one by one.")
        if tracked.latest_ref(frame_index) is None:
            raise StateError(f"Object {object_id!r} has no mask on frame {frame_index} to carry on. Prompt it there.")
        self._commit_prompts(state, [tracked])
        return _VideoCorrection(self, state, tracked, frame_index, should_stop).frames(should_stop)

    def _take_back_prompt(self, state: VideoState, tracked: TrackedObject, frame_index: int) -> None:
        """Remove an object's prompt on a frame; what was found there becomes a tracked frame's result."""
        tracked.clear_prompts(frame_index)
        state.forget_runs(tracked)
        if frame_index in tracked.pending:
            tracked.change(frame_index, Change.DROP_PENDING)
        sharing = [tracked]
        if self.joint_objects:
            sharing = list(state.objects.values())
            if any(other.is_prompted(frame_index) for other in sharing):
                state.records.flush()
                return
        for other in sharing:
            if frame_index in other.conditioning and not other.is_locked(frame_index):
                other.change(frame_index, Change.DEMOTE)
                other.change(frame_index, Change.UNTRACK)
        if self.joint_objects and not any(other.conditioning or other.pending for other in sharing):
            # nothing is left to track from: as in the official predictor, all results go, and objects keep their ids
            for other in sharing:
                state.remove(other.object_id)
                state.add(state.new_object(other.object_id))
        state.records.flush()


class _VideoCorrection(CarriedCorrection[FrameMasks]):
    """A correction of an object that is tracked on whole frames."""

    def __init__(
        self,
        predictor: VideoCorrection,
        state: VideoState,
        tracked: TrackedObject,
        start: int,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        super().__init__(start, state.num_frames)
        self._predictor, self._state, self._tracked = predictor, state, tracked
        self._should_stop = should_stop

    def is_there(self) -> bool:
        return self._state.objects.get(self._tracked.object_id) is self._tracked

    def may_change(self, frame: int) -> bool:
        tracked = self._tracked
        is_fixed = tracked.is_prompted(frame) or tracked.is_locked(frame) or frame in tracked.pending
        return frame in tracked.recent and not is_fixed

    def compute(self, frame: int, step: int) -> tuple[FrameMasks, bool]:
        tracked = self._tracked
        before = tracked.record(frame).mask
        result = self._predictor._track_frame(
            self._state, [tracked], frame, step < 0, True, should_stop=self._should_stop
        )
        self._state.records.flush()
        return result, not torch.equal(before, tracked.record(frame).mask)
