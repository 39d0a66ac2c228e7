"""Prompts of objects in a video: answered, kept, and made part of the objects' memories."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

import torch

from sam2_core.errors import InvalidInputError, InvalidTypeError, StateError
from sam2_core.inference.frame_masks import FrameMasks
from sam2_core.inference.frame_record import FrameRecord
from sam2_core.inference.tracked_object import Change, Place, TrackedObject
from sam2_core.inference.video_prompts import checked_frame_index, joined, mask_prompt, point_prompts
from sam2_core.inference.video_state import VideoState
from sam2_core.inference.video_tracker import VideoTracker
from sam2_core.model import NO_OBJ_SCORE
from sam2_core.model.results import MemoryBank


class VideoPrompting(VideoTracker):
    """Prompting: the part of :class:`SAM2VideoPredictor`, whose options it takes, that is told where objects are.

    :meth:`propagate_in_video_preflight` is here under its official name because every propagation begins with it.
    """

    known_labels: ClassVar[Sequence[int]] = (0, 1)
    """Labels of points that are taken; see :func:`~sam2_core.inference.video_prompts.point_prompts`."""

    @torch.inference_mode()
    def prompt_points(
        self,
        state: VideoState,
        frame_index: int,
        object_id: Hashable,
        points: Any = None,
        labels: Any = None,
        *,
        box: Any = None,
        clear_old_points: bool = True,
        normalize_coords: bool = True,
        others: bool = True,
    ) -> FrameMasks:
        """Say where an object is on a frame, by points, a box, or both.

        On a frame that was tracked this corrects the mask found there; elsewhere it starts from the image alone.

        Parameters
        ----------
        state : VideoState
            The video, from :meth:`~sam2_core.SAM2VideoPredictor.init_state`.
        frame_index : int
            Index of the frame, from 0.
        object_id : hashable
            An object known by this id, or a new one.
        points : array_like, optional
            (P, 2) or (1, P, 2) real numbers, each point (x, y), x first: pixels of the frame, x from 0 to its width
            and y from 0 to its height.
        labels : array_like, optional
            (P,) or (1, P), given if and only if there are points: 1 on the object, 0 beside it.
        box : array_like, optional
            (4,) real numbers (x0, y0, x1, y1), the upper left and the lower right corner, in the unit of the points. It
            may run over the frame's border.
        clear_old_points : bool
            Replace the points given earlier on this frame rather than add to them. A box needs this.
        normalize_coords : bool
            Whether points and box are in pixels of the frame; False if they are fractions of its width and height, from
            0 to 1.
        others : bool
            Whether the masks of the other objects are wanted as well: where there are hundreds, that takes longer than
            the prompt.

        Returns
        -------
        FrameMasks
            All N objects on this frame, or the prompted one: logits (N, 1, H, W) at the frame's size, and scores (N,).

        Raises
        ------
        InvalidTypeError
            ``frame_index`` is no integer, or a prompt holds no real numbers.
        InvalidInputError
            There is no such frame; a box came with ``clear_old_points=False``; or the prompt is not acceptable, see
            :func:`~sam2_core.inference.video_prompts.point_prompts`. Nothing is changed then.
        """
        frame_index = checked_frame_index(frame_index, state.num_frames)
        if box is not None and not clear_old_points:
            raise InvalidInputError(
                "A box comes before any point and replaces those given earlier: pass clear_old_points=True with it."
            )
        added = point_prompts(
            points,
            labels,
            box,
            frame_size=state.images.frame_size,
            input_size=self.input_size,
            normalize_coords=normalize_coords,
            known_labels=self.known_labels,
        )
        tracked = self._prompted_object(state, object_id)
        prompt = added if clear_old_points else joined(tracked.point_prompts.get(frame_index), added)
        self._restore_logits(state, tracked, frame_index)
        before = tracked.latest_ref(frame_index)
        previous = tracked.latest(frame_index)
        self._answer_prompt(state, tracked, frame_index, points=prompt, previous=previous)
        tracked.set_points(frame_index, prompt)
        state.forget_runs(tracked)
        state.records.flush()
        shown = list(state.objects.values()) if others else [tracked]
        return self._results(state, frame_index, shown, {tracked.number: before})

    @torch.inference_mode()
    def prompt_mask(
        self, state: VideoState, frame_index: int, object_id: Hashable, mask: Any, *, others: bool = True
    ) -> FrameMasks:
        """Say which pixels of a frame an object covers.

        Parameters
        ----------
        state : VideoState
            The video, from :meth:`~sam2_core.SAM2VideoPredictor.init_state`.
        frame_index : int
            Index of the frame, from 0.
        object_id : hashable
            An object known by this id, or a new one.
        mask : array_like
            (H, W), axes (y, x), at the size of the frame or of the model's input. bool or integers: the object is where
            they are not 0. Floating point: shares of coverage from 0 to 1.
        others : bool
            Whether the masks of the other objects are wanted as well.

        Returns
        -------
        FrameMasks
            All N objects on this frame, or the prompted one: logits (N, 1, H, W) at the frame's size, and scores (N,).

        Raises
        ------
        InvalidTypeError
            ``frame_index`` is no integer, or the mask is no array of numbers.
        InvalidInputError
            There is no such frame, or the mask is not acceptable, see
            :func:`~sam2_core.inference.video_prompts.mask_prompt`. Nothing is changed then.
        """
        frame_index = checked_frame_index(frame_index, state.num_frames)
        prompt = mask_prompt(mask, frame_size=state.images.frame_size, input_size=self.input_size)
        tracked = self._prompted_object(state, object_id)
        before = tracked.latest_ref(frame_index)
        self._answer_prompt(state, tracked, frame_index, mask=prompt)
        tracked.set_mask(frame_index, prompt > 0)
        state.forget_runs(tracked)
        state.records.flush()
        shown = list(state.objects.values()) if others else [tracked]
        return self._results(state, frame_index, shown, {tracked.number: before})

    @torch.inference_mode()
    def propagate_in_video_preflight(self, inference_state: VideoState) -> None:
        """Make the prompts given since the last propagation part of the objects' memories.

        Parameters
        ----------
        inference_state : VideoState
            The video, from :meth:`~sam2_core.SAM2VideoPredictor.init_state`.

        Raises
        ------
        StateError
            There is no object, or one without any prompt.
        """
        self._commit_prompts(inference_state, None)

    def _prompted_object(self, state: VideoState, object_id: Hashable) -> TrackedObject:
        """Return the object of an id, or a new one."""
        try:
            known = state.objects.get(object_id)
        except TypeError:
            raise InvalidTypeError(
                f"An object id is a number, a string or anything else that can be a dict's key; got {object_id!r}."
            ) from None
        if known is not None:
            return known
        if self.joint_objects and any(tracked.conditioning for tracked in state.objects.values()):
            raise StateError(
                f"Object {object_id!r} cannot be added once tracking has begun, because objects are tracked jointly. "
                "Call reset_state first, or build the predictor without joint_objects."
            )
        return state.new_object(object_id)

    def _commit_prompts(self, state: VideoState, objects: Sequence[TrackedObject] | None) -> None:
        """Check that each object can be propagated, then make answered prompts part of the memories."""
        tracked = list(state.objects.values()) if objects is None else objects
        if not tracked:
            raise StateError("There is nothing to propagate: add points, a box or a mask for an object first.")
        for each in tracked:
            if not each.conditioning and not any(pending.becomes_conditioning for pending in each.pending.values()):
                if self.joint_objects and any(other.conditioning or other.pending for other in tracked):
                    continue  # it will share the others' frames
                raise StateError(
                    f"Object {each.object_id!r} has no prompt to propagate from. Add points, a box or a mask for "
                    "it, or remove it."
                )
        self._take_prompts_in(state, list(state.objects.values()) if self.joint_objects else tracked)

    @torch.inference_mode()
    def _take_prompts_in(self, state: VideoState, objects: Sequence[TrackedObject]) -> None:
        """Make answered prompts part of the memories."""
        if self.joint_objects:
            self._share_prompted_frames(state, objects)
        pending: dict[int, list[tuple[TrackedObject, FrameRecord]]] = {}
        for tracked in objects:
            for frame_index, found in tracked.pending.items():
                pending.setdefault(frame_index, []).append((tracked, state.records.read(found.ref)))
        for frame_index in sorted(pending):
            self._encode_memories(state, frame_index, pending[frame_index])
        for tracked in objects:
            frames = sorted(tracked.pending)
            for frame_index in frames:
                self._clear_around_prompt(state, tracked, frame_index)
            for frame_index in frames:
                tracked.change(frame_index, Change.COMMIT)
        state.records.flush()

    def _share_prompted_frames(self, state: VideoState, objects: Sequence[TrackedObject]) -> None:
        """Give every object a record on each frame on which any was prompted, as tracking them jointly needs.

        Those without one get an empty mask, the score of an object in sight, and the pointer that an empty mask gives.
        """
        frames = sorted({frame for tracked in objects for frame in tracked.pending})
        for frame_index in frames:
            answers = [tracked.pending[frame_index] for tracked in objects if frame_index in tracked.pending]
            conditions = any(answer.becomes_conditioning for answer in answers)
            place = Place.PENDING_CONDITIONING if conditions else Place.PENDING_RECENT
            empty: FrameRecord | None = None
            for tracked in objects:
                if frame_index in tracked.pending:
                    continue
                record = tracked.latest(frame_index)
                if record is None:
                    empty = record = empty or self._empty_record(state, frame_index)
                tracked.put(
                    frame_index,
                    FrameRecord(
                        mask_logits=record.shown_logits,
                        mask=record.mask,
                        object_pointer=record.object_pointer,
                        object_score_logits=record.object_score_logits,
                        predicted_iou=record.predicted_iou,
                        from_prompt=True,
                    ),
                    place,
                )

    def _empty_record(self, state: VideoState, frame_index: int) -> FrameRecord:
        height, width = self.input_size
        nothing = torch.zeros(1, 1, height, width, device=self.device)
        (record,) = self._records(
            state,
            self._step(state, 1, frame_index, memory=MemoryBank(), is_initial=True, mask=nothing),
            from_prompt=True,
        )
        return FrameRecord(
            mask_logits=torch.full_like(record.shown_logits, NO_OBJ_SCORE),
            mask=torch.zeros_like(record.mask),
            object_pointer=record.object_pointer,
            object_score_logits=torch.full_like(record.object_score_logits, 10.0),
            predicted_iou=record.predicted_iou,
            from_prompt=True,
        )
