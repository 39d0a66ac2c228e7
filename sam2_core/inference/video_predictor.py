"""Segment and track objects through a video or a z-stack, by the official names and by our own."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import torch

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.inference.frame_masks import FrameMasks
from sam2_core.inference.video_frames import DEFAULT_CACHED_FRAMES, DEFAULT_FRAMES_AHEAD, open_prepared_frames
from sam2_core.inference.video_prompts import checked_frame_index, joined, mask_prompt, point_prompts
from sam2_core.inference.video_state import FrameRecord, TrackedObject, VideoState
from sam2_core.inference.video_tracker import VideoTracker
from sam2_core.volumes.frames import FrameSource

DEFAULT_CACHED_FEATURES = 4


class SAM2VideoPredictor(VideoTracker):
    """Track any number of objects through a stack of frames from clicks, boxes and masks.

    Every object is tracked by itself: it has its own memory, may be added at any time, and does not change what the
    others get. Objects that remember the same frames are computed as one batch; a frame's image features are computed
    once for all.

    Methods with official names take and return what the official ones do. :meth:`prompt_points`, :meth:`prompt_mask`,
    :meth:`masks_on_frame` and :meth:`propagate` do the same work and hand out :class:`FrameMasks`, with scores.

    Parameters
    ----------
    fill_hole_area : int
        Fill holes of at most so many pixels in the low-resolution masks; 0 fills none.
    non_overlap_masks : bool
        Give each pixel of the results to one object only, the one with the highest logit.
    clear_non_cond_mem_around_input : bool
        Forget what was tracked on the frames around a prompt, which may show what the prompt corrects.
    add_all_frames_to_correct_as_cond : bool
        Make a tracked frame that is corrected a conditioning frame, which all others attend to.
    clear_non_cond_mem_for_multi_obj : bool
        Whether ``clear_non_cond_mem_around_input`` holds with several objects too.
    official_frame_count : bool
        Whether :meth:`propagate_in_video` goes over ``max_frame_num_to_track + 1`` frames, as the official one does,
        rather than as many as it was told. :meth:`propagate` always does as told.
    max_objects_per_batch : int
        Upper limit of objects computed at once.
    memory_budget_bytes : int
        Size up to which memories of frames tracked long ago are kept; beyond it they are encoded anew if needed.
    **kwargs
        Options of :class:`SAM2Base`.
    """

    @classmethod
    def from_pretrained(cls, model_id: str, **kwargs: Any) -> SAM2VideoPredictor:
        """Build the predictor of a catalogue name or Hugging Face id, with its weights.

        Parameters
        ----------
        model_id : str
            Such as ``"facebook/sam2.1-hiera-tiny"``.
        **kwargs
            Passed to ``build_sam2_video_predictor_hf``.
        """
        from sam2_core.checkpoints.build import build_sam2_video_predictor_hf

        return build_sam2_video_predictor_hf(model_id, **kwargs)

    @torch.inference_mode()
    def init_state(
        self,
        video_path: FrameSource,
        offload_video_to_cpu: bool = False,
        offload_state_to_cpu: bool = False,
        async_loading_frames: bool = False,
        *,
        cached_frames: int = DEFAULT_CACHED_FRAMES,
        cached_features: int = DEFAULT_CACHED_FEATURES,
    ) -> VideoState:
        """Open a video, a stack or a folder of frames.

        Frames are read when they are needed, and few are kept, so a video may be far larger than memory.

        Parameters
        ----------
        video_path : str, path, bytes, ndarray, list of ndarray, or FrameStack
            An mp4 file or its bytes; a folder of JPEG, PNG or TIFF frames in natural order; a TIFF stack; an array
            (T, H, W) or (T, H, W, C); a list of images of one size.
        offload_video_to_cpu : bool
            Keep frames on the CPU rather than on the model's device.
        offload_state_to_cpu : bool
            Keep masks and memories there too: less GPU memory, slower tracking.
        async_loading_frames : bool
            Read the next frames in a background thread while the current one is computed.
        cached_frames, cached_features : int
            How many frames and frames' image features are kept.

        Returns
        -------
        VideoState
            To be passed to every other method.

        Raises
        ------
        MissingFileError
            No such file or folder.
        InvalidInputError
            Nothing to read in it, or frames that are no images of one size.
        """
        if cached_features < 1:
            raise InvalidInputError(f"cached_features must be at least 1; got {cached_features}.")
        images = open_prepared_frames(
            video_path,
            input_size=self.input_size,
            device=torch.device("cpu") if offload_video_to_cpu else self.device,
            cached_frames=cached_frames,
            frames_ahead=DEFAULT_FRAMES_AHEAD if async_loading_frames else 0,
        )
        return VideoState(
            images,
            device=self.device,
            storage_device=torch.device("cpu") if offload_state_to_cpu else self.device,
            memory_budget_bytes=self.memory_budget_bytes,
            cached_features=cached_features,
        )

    @torch.inference_mode()
    def reset_state(self, inference_state: VideoState) -> None:
        """Remove all objects with their prompts and results; the video stays open."""
        inference_state.forget_objects()

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
        frame_index : int
        object_id : hashable
            An object known by this id, or a new one.
        points : array_like, optional
            (P, 2) as (x, y), in pixels of the frame.
        labels : array_like, optional
            (P,): 1 on the object, 0 beside it.
        box : array_like, optional
            (x0, y0, x1, y1) in pixels of the frame.
        clear_old_points : bool
            Replace the points given earlier on this frame rather than add to them. A box needs this.
        normalize_coords : bool
            False if the coordinates are fractions of the frame's size already.

        Returns
        -------
        FrameMasks
            All objects on this frame.

        Raises
        ------
        InvalidInputError, InvalidTypeError
            See :func:`~sam2_core.inference.video_prompts.point_prompts`; nothing is changed then.
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
        frame_index : int
        object_id : hashable
            An object known by this id, or a new one.
        mask : array_like
            (H, W) of the frame; see :func:`~sam2_core.inference.video_prompts.mask_prompt`.

        Returns
        -------
        FrameMasks
            All objects on this frame.
        """
        frame_index = checked_frame_index(frame_index, state.num_frames)
        prompt = mask_prompt(mask, frame_size=state.images.frame_size, input_size=self.input_size)
        tracked = state.objects.get(object_id) or TrackedObject(object_id)
        self._answer_prompt(state, tracked, frame_index, mask=prompt)
        tracked.mask_prompts[frame_index] = prompt > 0
        tracked.point_prompts.pop(frame_index, None)
        return self.masks_on_frame(state, frame_index)

    def add_new_points_or_box(
        self,
        inference_state: VideoState,
        frame_idx: int,
        obj_id: Hashable,
        points: Any = None,
        labels: Any = None,
        clear_old_points: bool = True,
        normalize_coords: bool = True,
        box: Any = None,
    ) -> tuple[int, list[Hashable], torch.Tensor]:
        """Prompt by points, box or both; see :meth:`prompt_points`.

        Returns
        -------
        (frame_idx, obj_ids, logits)
            Logits (N, 1, H, W) float32 of all N objects on the frame, at the size of the video.
        """
        result = self.prompt_points(
            inference_state,
            frame_idx,
            obj_id,
            points,
            labels,
            box=box,
            clear_old_points=clear_old_points,
            normalize_coords=normalize_coords,
        )
        return result.frame_index, result.object_ids, result.logits

    def add_new_points(self, *args: Any, **kwargs: Any) -> tuple[int, list[Hashable], torch.Tensor]:
        """Older name of :meth:`add_new_points_or_box`."""
        return self.add_new_points_or_box(*args, **kwargs)

    def add_new_mask(
        self, inference_state: VideoState, frame_idx: int, obj_id: Hashable, mask: Any
    ) -> tuple[int, list[Hashable], torch.Tensor]:
        """Prompt by a mask; see :meth:`prompt_mask`. Returns what :meth:`add_new_points_or_box` does."""
        result = self.prompt_mask(inference_state, frame_idx, obj_id, mask)
        return result.frame_index, result.object_ids, result.logits

    @torch.inference_mode()
    def clear_all_prompts_in_frame(
        self, inference_state: VideoState, frame_idx: int, obj_id: Hashable, need_output: bool = True
    ) -> tuple[int, list[Hashable], torch.Tensor] | None:
        """Take back an object's points, box or mask on one frame.

        What was found there is kept as a tracked frame's result if it had been used for tracking, else dropped.

        Returns
        -------
        (frame_idx, obj_ids, logits) or None
            As :meth:`add_new_points_or_box`; None if not ``need_output``.

        Raises
        ------
        StateError
            No such object.
        """
        frame_index = checked_frame_index(frame_idx, inference_state.num_frames)
        tracked = inference_state.existing_object(obj_id)
        tracked.point_prompts.pop(frame_index, None)
        tracked.mask_prompts.pop(frame_index, None)
        tracked.pending.pop(frame_index, None)
        record = tracked.conditioning.pop(frame_index, None)
        if record is not None:
            self._remember(inference_state, tracked, frame_index, record)
            tracked.tracked.pop(frame_index, None)
        if not need_output:
            return None
        result = self.masks_on_frame(inference_state, frame_index)
        return result.frame_index, result.object_ids, result.logits

    @torch.inference_mode()
    def remove_object(
        self, inference_state: VideoState, obj_id: Hashable, strict: bool = False, need_output: bool = True
    ) -> tuple[list[Hashable], list[tuple[int, torch.Tensor]]]:
        """Remove an object with everything found for it.

        Parameters
        ----------
        inference_state : VideoState
        obj_id : hashable
        strict : bool
            Whether an object that does not exist is an error.
        need_output : bool
            Whether masks of the frames on which the object was prompted are wanted, which may have changed.

        Returns
        -------
        obj_ids : list
            The objects left.
        updated_frames : list of (int, torch.Tensor)
            Frame indices and (N, 1, H, W) logits of the N objects left.

        Raises
        ------
        StateError
            No such object, and ``strict``.
        """
        if obj_id not in inference_state.objects and not strict:
            return inference_state.obj_ids, []
        removed = inference_state.existing_object(obj_id)
        del inference_state.objects[obj_id]
        if not need_output or not inference_state.objects:
            return inference_state.obj_ids, []
        updated = [
            (frame_index, self.masks_on_frame(inference_state, frame_index).logits)
            for frame_index in removed.prompted_frames()
        ]
        return inference_state.obj_ids, updated

    @torch.inference_mode()
    def masks_on_frame(self, state: VideoState, frame_index: int) -> FrameMasks:
        """Return what is known of all objects on a frame, without computing anything new."""
        frame_index = checked_frame_index(frame_index, state.num_frames)
        return self._results(state, frame_index, list(state.objects.values()))

    @torch.inference_mode()
    def propagate_in_video_preflight(self, inference_state: VideoState) -> None:
        """Make the prompts given since the last propagation part of the objects' memories.

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
        start_frame : int, optional
            First frame; by default the earliest one with a prompt.
        frame_count : int, optional
            How many frames, the first included; by default all that are left in this direction.
        reverse : bool
            Towards the first frame.
        keep_corrections : bool
            Leave masks as they are where a person corrected a tracked frame, rather than track those frames again.

        Yields
        ------
        FrameMasks
            All objects on one frame. Masks are scaled up when yielded, so pick what is needed and let the rest go.

        Raises
        ------
        StateError
            Nothing was prompted.
        InvalidInputError
            No such frame, or a negative count.
        """
        frames = self._frames_to_track(state, start_frame, frame_count, reverse)
        objects = list(state.objects.values())
        return self._propagated(state, objects, frames, reverse, keep_corrections)

    def propagate_in_video(
        self,
        inference_state: VideoState,
        start_frame_idx: int | None = None,
        max_frame_num_to_track: int | None = None,
        reverse: bool = False,
    ) -> Iterator[tuple[int, list[Hashable], torch.Tensor]]:
        """Carry the objects through the video; see :meth:`propagate`.

        As in the official predictor, ``max_frame_num_to_track`` does not count the first frame (see
        ``official_frame_count``), and a corrected frame is tracked again unless ``add_all_frames_to_correct_as_cond``.

        Yields
        ------
        (frame_idx, obj_ids, logits)
            Logits (N, 1, H, W) float32 of all N objects, at the size of the video.
        """
        frame_count = max_frame_num_to_track
        if frame_count is not None and self.official_frame_count and frame_count >= 0:
            frame_count += 1
        for result in self.propagate(
            inference_state, start_frame_idx, frame_count, reverse=reverse, keep_corrections=False
        ):
            yield result.frame_index, result.object_ids, result.logits

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


class SAM2VideoPredictorVOS(SAM2VideoPredictor):
    """The predictor with its parts compiled by ``torch.compile``; the first frames take minutes, the others less time.

    Parameters
    ----------
    **kwargs
        See :class:`SAM2VideoPredictor`. The image encoder has its own option, ``compile_image_encoder``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for part in (self.memory_encoder, self.memory_attention, self.sam_prompt_encoder, self.sam_mask_decoder):
            _compile_forward(part)


def _compile_forward(part: torch.nn.Module) -> None:
    # The function, not the module: state-dict keys stay as they are. No CUDA graphs, whose next run would overwrite
    # memories that are still needed; shapes become dynamic once they vary (objects, points, memories).
    part.forward = torch.compile(part.forward, mode="max-autotune-no-cudagraphs", fullgraph=True)


class SAM2VideoPredictorLegacy(SAM2VideoPredictor):
    """The predictor under the defaults of the official one before December 2024.

    Objects are independent here too; only the default of ``clear_non_cond_mem_for_multi_obj`` differs.
    """

    def __init__(self, *args: Any, clear_non_cond_mem_for_multi_obj: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, clear_non_cond_mem_for_multi_obj=clear_non_cond_mem_for_multi_obj, **kwargs)
