"""Segment and track objects through a video or a z-stack, by our own names."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import torch

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.inference.frame_masks import FrameMasks
from sam2_core.inference.video_prompts import checked_frame_index, joined, mask_prompt, point_prompts
from sam2_core.inference.video_state import FrameRecord, TrackedObject, VideoState
from sam2_core.inference.video_tracker import VideoTracker


class VideoSegmenter(VideoTracker):
    """Prompting and propagation: the part of :class:`SAM2VideoPredictor`, whose options it takes, that is our own.

    :meth:`propagate_in_video_preflight` is here under its official name because :meth:`propagate` begins with it.
    """

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

        Returns
        -------
        FrameMasks
            All N objects on this frame: logits (N, 1, H, W) at the frame's size, and scores (N,).

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
        )
        tracked = state.objects.get(object_id) or TrackedObject(object_id)
        prompt = added if clear_old_points else joined(tracked.point_prompts.get(frame_index), added)
        previous = tracked.latest(frame_index)
        self._answer_prompt(state, tracked, frame_index, points=prompt, previous=previous)
        tracked.point_prompts[frame_index] = prompt
        tracked.mask_prompts.pop(frame_index, None)
        return self.masks_on_frame(state, frame_index)

    @torch.inference_mode()
    def prompt_mask(self, state: VideoState, frame_index: int, object_id: Hashable, mask: Any) -> FrameMasks:
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

        Returns
        -------
        FrameMasks
            All N objects on this frame: logits (N, 1, H, W) at the frame's size, and scores (N,).

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
        tracked = state.objects.get(object_id) or TrackedObject(object_id)
        self._answer_prompt(state, tracked, frame_index, mask=prompt)
        tracked.mask_prompts[frame_index] = prompt > 0
        tracked.point_prompts.pop(frame_index, None)
        return self.masks_on_frame(state, frame_index)

    @torch.inference_mode()
    def masks_on_frame(self, state: VideoState, frame_index: int) -> FrameMasks:
        """Return what is known of all objects on a frame, without running the network.

        Parameters
        ----------
        state : VideoState
            The video, from :meth:`~sam2_core.SAM2VideoPredictor.init_state`.
        frame_index : int
            Index of the frame, from 0.

        Returns
        -------
        FrameMasks
            All N objects on this frame: logits (N, 1, H, W) at the frame's size, and scores (N,). An object that was
            neither prompted on this frame nor tracked to it has logits of -1024 and scores of NaN.

        Raises
        ------
        InvalidTypeError, InvalidInputError
            ``frame_index`` is no integer, or there is no such frame.
        """
        frame_index = checked_frame_index(frame_index, state.num_frames)
        return self._results(state, frame_index, list(state.objects.values()))

    def propagate(
        self,
        state: VideoState,
        start_frame: int | None = None,
        frame_count: int | None = None,
        *,
        reverse: bool = False,
        keep_corrections: bool = True,
    ) -> Iterator[FrameMasks]:
        """Carry the objects through the stack, frame by frame.

        Objects may be removed meanwhile; those added join at the next propagation.

        Parameters
        ----------
        state : VideoState
            The video, from :meth:`~sam2_core.SAM2VideoPredictor.init_state`.
        start_frame : int, optional
            Index of the frame to begin with, from 0; by default the earliest conditioning frame, one with a prompt that
            was not the correction of a tracked frame.
        frame_count : int, optional
            How many frames, the first included, 0 or more; by default, and at most, all that are left in this
            direction.
        reverse : bool
            Go towards the stack's first frame rather than its last.
        keep_corrections : bool
            Leave masks as they are where a person corrected a tracked frame, rather than track those frames again.

        Returns
        -------
        iterator of FrameMasks
            For each frame, computed when it is asked for, all N objects: logits (N, 1, H, W) at the frame's size, and
            scores (N,). Pick what is needed and let the rest go, since masks at full size are large.

        Raises
        ------
        StateError
            There is no object, or one without any prompt.
        InvalidTypeError
            ``start_frame`` is no integer.
        InvalidInputError
            There is no such frame, or ``frame_count`` is negative. All of these at the call, before the first frame.
        """
        frames = self._frames_to_track(state, start_frame, frame_count, reverse)
        objects = list(state.objects.values())
        return self._propagated(state, objects, frames, reverse, keep_corrections)

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
        state = inference_state
        if not state.objects:
            raise StateError("There is nothing to propagate: add points, a box or a mask for an object first.")
        for tracked in state.objects.values():
            if not tracked.conditioning and not any(conditioning for _, conditioning in tracked.pending.values()):
                raise StateError(
                    f"Object {tracked.object_id!r} has no prompt to propagate from. Add points, a box or a mask for "
                    "it, or remove it."
                )
        pending: dict[int, list[FrameRecord]] = {}
        for tracked in state.objects.values():
            for frame_index, (record, _) in tracked.pending.items():
                pending.setdefault(frame_index, []).append(record)
        for frame_index in sorted(pending):
            self._encode_memories(state, frame_index, pending[frame_index])
        for tracked in state.objects.values():
            for frame_index in tracked.pending:
                self._clear_around_prompt(state, tracked, frame_index)
            for frame_index, (record, becomes_conditioning) in tracked.pending.items():
                if becomes_conditioning:
                    tracked.conditioning[frame_index] = record
                    tracked.recent.pop(frame_index, None)
                else:
                    self._remember(state, tracked, frame_index, record)
            tracked.pending.clear()

    def _frames_to_track(
        self, state: VideoState, start_frame: int | None, frame_count: int | None, reverse: bool
    ) -> Sequence[int]:
        if start_frame is not None:
            start_frame = checked_frame_index(start_frame, state.num_frames)
        if frame_count is not None and frame_count < 0:
            raise InvalidInputError(f"The number of frames to track cannot be negative; got {frame_count}.")
        self.propagate_in_video_preflight(state)
        if start_frame is None:
            start_frame = min(frame for tracked in state.objects.values() for frame in tracked.conditioning)
        left = start_frame + 1 if reverse else state.num_frames - start_frame
        count = left if frame_count is None else min(frame_count, left)
        return range(start_frame, start_frame - count, -1) if reverse else range(start_frame, start_frame + count)

    def _propagated(
        self,
        state: VideoState,
        objects: list[TrackedObject],
        frames: Sequence[int],
        reverse: bool,
        keep_corrections: bool,
    ) -> Iterator[FrameMasks]:
        for frame_index in frames:
            objects = [tracked for tracked in objects if state.objects.get(tracked.object_id) is tracked]
            if not objects:
                return
            # no context manager is open while the caller has the result: its own settings hold there
            yield self._track_frame(state, objects, frame_index, reverse, keep_corrections)
