"""Segment and track objects through a video or a z-stack, by the official names and by our own."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sam2_core.errors import InvalidInputError
from sam2_core.inference.compiled_parts import compile_forward, take_any_number_of_points
from sam2_core.inference.frame_features import FrameFeatures, frames_ahead_at_once
from sam2_core.inference.frame_transform import FrameTransform
from sam2_core.inference.pretrained_options import as_overrides, split_options
from sam2_core.inference.record_store import DEFAULT_QUOTA_BYTES, RecordStore
from sam2_core.inference.stack_line import LineFeatures, LineFrames
from sam2_core.inference.video_correction import VideoCorrection
from sam2_core.inference.video_frames import (
    DEFAULT_CACHED_FRAMES,
    DEFAULT_FRAMES_AHEAD,
    PreparedFrames,
    open_prepared_frames,
)
from sam2_core.inference.video_prompts import checked_frame_count, checked_frame_index
from sam2_core.inference.video_state import VideoState
from sam2_core.inference.video_stream import KEPT_FRAMES, StreamFrames
from sam2_core.volumes.embedding_store_key import feature_bytes
from sam2_core.volumes.frames import FrameSource

if TYPE_CHECKING:
    from sam2_core.volumes.embedding_store import EmbeddingStore

DEFAULT_CACHED_FEATURES = 4


class SAM2VideoPredictor(VideoCorrection):
    """Track any number of objects through a stack of frames from clicks, boxes and masks.

    Every object is tracked by itself: it has its own memory, may be added at any time, and does not change what the
    others get. Objects that remember as many frames, whichever they are, are computed as one batch; a frame's image
    features are computed once for all. What is found is written to disk as it comes, so nothing in memory grows with
    the number of frames.

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
    joint_objects : bool
        Track objects jointly, as the official predictor did before December 2024: a frame on which one of them was
        prompted is a conditioning frame of all, objects cannot be added once tracking has begun, and
        ``non_overlap_masks_for_mem_enc`` holds between them.
    official_frame_count : bool
        Whether :meth:`propagate_in_video` goes over ``max_frame_num_to_track + 1`` frames, as the official one does,
        rather than as many as it was told, which is the default but for programs that run through
        :mod:`sam2_core.compat`. :meth:`propagate` always does as told.
    max_objects_per_batch : int, optional
        Upper limit of objects computed at once; by default 16, on a CPU 1, where batches are no faster
        but of small inputs (128 pixels: 33 ms an object one by one, 15 ms in batches of 16).
    memory_budget_bytes : int, optional
        By default 1 GiB on a CPU, half of the free memory of a GPU. Half of it is for mask memories, of which those
        that do not fit lie in a mapped file; the other half bounds how many objects are computed at once.
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
            Options of the predictor and of its network, and those of
            :func:`~sam2_core.checkpoints.build.build_sam2_video_predictor_hf`: ``precision="fp32"`` asks for fp32 on a
            machine that is fast at bf16 too.

        Returns
        -------
        SAM2VideoPredictor
            The predictor, in bf16 where this machine is fast at it unless told otherwise.

        Raises
        ------
        UnknownModelError, DownloadError, MissingDependencyError
            The model is unknown or cannot be downloaded.
        """
        from sam2_core.checkpoints.build import POSTPROCESSING, VIDEO_POSTPROCESSING, build_sam2_video_predictor_hf

        own, others = split_options(cls, kwargs)
        if own:
            # behind those of the postprocessing, which would win otherwise
            usual = [*POSTPROCESSING, *VIDEO_POSTPROCESSING] if others.get("apply_postprocessing", True) else []
            others["hydra_overrides_extra"] = [*others.get("hydra_overrides_extra", ()), *usual, *as_overrides(own)]
            others["apply_postprocessing"] = False
        return build_sam2_video_predictor_hf(model_id, **others)

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
        embedding_store: EmbeddingStore | None = None,
        feature_memory_bytes: int | None = None,
        feature_batch: int | None = None,
        records: str | Path | None = None,
        records_quota_bytes: int = DEFAULT_QUOTA_BYTES,
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
            How many frames, and how many frames' image features, are kept; at least 1.
        embedding_store : EmbeddingStore, optional
            Where image features are looked for, and kept for whoever opens these frames next. They are rounded to its
            float16 then, also when they were just computed: the same results, whether they were stored or not.
        feature_memory_bytes : int, optional
            Size up to which features stay in memory, in place of ``cached_features``.
        feature_batch : int, optional
            How many frames are encoded at once, ahead, while the objects are carried from frame to frame, as far as the
            features' memory has room for them; more than 1 may change results in the last digit. By default what suits
            the model's device: 4 on a GPU, 1 on a CPU, which gains nothing by it.
        records : str or path, optional
            Folder for what is found on each frame, which may be opened again later: the state then has the objects,
            prompts and masks that it had, and ``propagate(..., resume=True)`` goes on where it was, even after the
            process was killed. None takes a temporary folder that is removed with the state.
        records_quota_bytes : int
            Size up to which logits are kept there. Beyond it those of the frames tracked longest ago are dropped, but
            for prompted and locked frames; such a frame is tracked again when its mask is wanted, from the nearest
            frames that are still on record.

        Returns
        -------
        VideoState
            To be passed to every other method.

        Raises
        ------
        MissingFileError
            No such file or folder.
        InvalidInputError
            Nothing to read in it, frames that are no images of one size, or ``records`` holds other things.
        StateError
            ``records`` are in use, or of another video or model.
        """
        if cached_features < 1:
            raise InvalidInputError(f"cached_features must be at least 1; got {cached_features}.")
        images = open_prepared_frames(
            video_path,
            input_size=self.input_size,
            device=torch.device("cpu") if offload_video_to_cpu else self.device,
            cached_frames=cached_frames,
            frames_ahead=DEFAULT_FRAMES_AHEAD if async_loading_frames else 0,
            store=embedding_store,
        )
        if feature_memory_bytes is None:
            feature_memory_bytes = cached_features * feature_bytes(self, self.dtype.itemsize)
        if feature_batch is None:
            feature_batch = frames_ahead_at_once(self)
        features = FrameFeatures(
            self, images, store=embedding_store, memory_bytes=feature_memory_bytes, batch=feature_batch
        )
        return self._new_state(
            images,
            features,
            offload_state_to_cpu=offload_state_to_cpu,
            records=records,
            records_quota_bytes=records_quota_bytes,
        )

    @torch.inference_mode()
    def init_line(self, inference_state: VideoState, frames: Sequence[int], axis: str) -> VideoState:
        """Open some frames of a stack that is open as a stack of their own, such as one z-stack of a time-lapse.

        Objects and records are its own; image features are shared with the whole, and encoded once.

        Parameters
        ----------
        inference_state : VideoState
            The whole, from :meth:`init_state`; it has to stay open.
        frames : sequence of int
            Numbers of the frames, in the order in which they shall be tracked over.
        axis : str
            What they are counted along: along "z" an object that has ended does not come back.

        Returns
        -------
        VideoState
            Whose frame ``i`` is frame ``frames[i]`` of the whole.

        Raises
        ------
        InvalidInputError
            No frames, or one that does not exist.
        """
        images = LineFrames(inference_state.images, frames, axis)
        return self._new_state(
            images,
            LineFeatures(self, images, inference_state.features, frames),
            offload_state_to_cpu=inference_state.storage_device != self.device,
            records=None,
            records_quota_bytes=DEFAULT_QUOTA_BYTES,
        )

    @torch.inference_mode()
    def init_stream(
        self,
        first_frame: Any,
        *,
        contrast: tuple[float, float] | None = None,
        kept_frames: int = KEPT_FRAMES,
        offload_state_to_cpu: bool = False,
        records_quota_bytes: int = DEFAULT_QUOTA_BYTES,
    ) -> VideoState:
        """Begin a stream, such as of a camera, of which :meth:`step` takes one frame after another.

        Parameters
        ----------
        first_frame : ndarray
            (y, x) or (y, x, channel); frame 0, to be prompted before the next one comes.
        contrast : (float, float), optional
            Intensities shown to the model as black and white; needed unless frames are uint8.
        kept_frames : int
            How many of the last frames can still be prompted.
        offload_state_to_cpu : bool
            Keep masks and memories on the CPU.
        records_quota_bytes : int
            See :meth:`init_state`.

        Returns
        -------
        VideoState
            To be passed to every other method. It grows with each :meth:`step`.

        Raises
        ------
        InvalidTypeError, InvalidInputError
            The frame is no image, or ``contrast`` is missing.
        """
        images = PreparedFrames(
            StreamFrames(first_frame, contrast=contrast, kept_frames=kept_frames),
            FrameTransform(self.input_size, resampling="frame"),
            self.device,
        )
        return self._new_state(
            images,
            FrameFeatures(
                self, images, memory_bytes=DEFAULT_CACHED_FEATURES * feature_bytes(self, self.dtype.itemsize)
            ),
            offload_state_to_cpu=offload_state_to_cpu,
            records=None,
            records_quota_bytes=records_quota_bytes,
            is_stream=True,
        )

    def _new_state(
        self,
        images: PreparedFrames,
        features: FrameFeatures,
        *,
        offload_state_to_cpu: bool,
        records: str | Path | None,
        records_quota_bytes: int,
        is_stream: bool = False,
    ) -> VideoState:
        storage_device = torch.device("cpu") if offload_state_to_cpu else self.device
        fingerprint = {
            "frames": "stream" if is_stream else len(images),
            "frame_size": list(images.frame_size),
            "input_size": list(self.input_size),
            "joint_objects": self.joint_objects,
        }
        if records is not None:
            fingerprint["weights"] = self._weights_fingerprint()
        try:
            store = RecordStore(records, quota_bytes=records_quota_bytes, dtype=self.dtype, device=storage_device)
            return VideoState(
                images,
                features,
                device=self.device,
                storage_device=storage_device,
                memory_budget_bytes=self.memory_budget_bytes // 2,
                records=store,
                fingerprint=fingerprint,
                is_stream=is_stream,
            )
        except BaseException:
            features.close()
            images.close()
            raise

    @torch.inference_mode()
    def reset_state(self, inference_state: VideoState) -> None:
        """Remove all objects with their prompts and results; the video stays open.

        Parameters
        ----------
        inference_state : VideoState
            The video, from :meth:`init_state`.
        """
        inference_state.forget_objects()

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
        """Say where an object is on a frame, by points, a box, or both; see :meth:`prompt_points`.

        Parameters
        ----------
        inference_state : VideoState
            The video, from :meth:`init_state`.
        frame_idx : int
            Index of the frame, from 0.
        obj_id : hashable
            An object known by this id, or a new one.
        points : array_like, optional
            (P, 2) or (1, P, 2) real numbers, each point (x, y), x first, in pixels of the frame.
        labels : array_like, optional
            (P,) or (1, P), given if and only if there are points: 1 on the object, 0 beside it.
        clear_old_points : bool
            Replace the points given earlier on this frame rather than add to them. A box needs this.
        normalize_coords : bool
            Whether points and box are in pixels of the frame; False if they are fractions of its width and height, from
            0 to 1.
        box : array_like, optional
            (4,) real numbers (x0, y0, x1, y1), in the unit of the points.

        Returns
        -------
        frame_idx : int
            The frame.
        obj_ids : list of hashable
            The N object ids, in the order of the logits' first axis.
        logits : torch.Tensor
            (N, 1, H, W) float32 mask logits at the size of the video's frames, on the model's device; above 0 is the
            object.

        Raises
        ------
        InvalidTypeError, InvalidInputError
            As for :meth:`prompt_points`; nothing is changed then.
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
        """Older name of :meth:`add_new_points_or_box`.

        Parameters
        ----------
        *args, **kwargs
            As for :meth:`add_new_points_or_box`.

        Returns
        -------
        frame_idx : int
            The frame.
        obj_ids : list of hashable
            The N object ids, in the order of the logits' first axis.
        logits : torch.Tensor
            (N, 1, H, W) float32 mask logits at the size of the video's frames, on the model's device; above 0 is the
            object.

        Raises
        ------
        InvalidTypeError, InvalidInputError
            As for :meth:`prompt_points`; nothing is changed then.
        """
        return self.add_new_points_or_box(*args, **kwargs)

    def add_new_mask(
        self, inference_state: VideoState, frame_idx: int, obj_id: Hashable, mask: Any
    ) -> tuple[int, list[Hashable], torch.Tensor]:
        """Say which pixels of a frame an object covers; see :meth:`prompt_mask`.

        Parameters
        ----------
        inference_state : VideoState
            The video, from :meth:`init_state`.
        frame_idx : int
            Index of the frame, from 0.
        obj_id : hashable
            An object known by this id, or a new one.
        mask : array_like
            (H, W), axes (y, x), at the size of the frame or of the model's input. bool or integers: the object is where
            they are not 0. Floating point: shares of coverage from 0 to 1.

        Returns
        -------
        frame_idx : int
            The frame.
        obj_ids : list of hashable
            The N object ids, in the order of the logits' first axis.
        logits : torch.Tensor
            (N, 1, H, W) float32 mask logits at the size of the video's frames, on the model's device; above 0 is the
            object.

        Raises
        ------
        InvalidTypeError, InvalidInputError
            As for :meth:`prompt_mask`; nothing is changed then.
        """
        result = self.prompt_mask(inference_state, frame_idx, obj_id, mask)
        return result.frame_index, result.object_ids, result.logits

    @torch.inference_mode()
    def clear_all_prompts_in_frame(
        self, inference_state: VideoState, frame_idx: int, obj_id: Hashable, need_output: bool = True
    ) -> tuple[int, list[Hashable], torch.Tensor] | None:
        """Take back an object's points, box or mask on one frame.

        What was found there is kept as a tracked frame's result if it had been used for tracking, else dropped.

        Parameters
        ----------
        inference_state : VideoState
            The video, from :meth:`init_state`.
        frame_idx : int
            Index of the frame, from 0.
        obj_id : hashable
            The object.
        need_output : bool
            Whether the frame's masks are wanted.

        Returns
        -------
        (frame_idx, obj_ids, logits) or None
            The frame, the ids of all N objects, and their logits (N, 1, H, W) as :meth:`add_new_points_or_box` returns
            them; None if not ``need_output``.

        Raises
        ------
        StateError
            There is no such object.
        InvalidTypeError, InvalidInputError
            ``frame_idx`` is no integer, or there is no such frame.
        """
        frame_index = checked_frame_index(frame_idx, inference_state.num_frames)
        tracked = inference_state.existing_object(obj_id)
        self._take_back_prompt(inference_state, tracked, frame_index)
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
            The video, from :meth:`init_state`.
        obj_id : hashable
            The object.
        strict : bool
            Whether an object that does not exist is an error.
        need_output : bool
            Whether masks of the frames on which the object was prompted are wanted, which may have changed.

        Returns
        -------
        obj_ids : list of hashable
            The N objects left.
        updated_frames : list of (int, torch.Tensor)
            Index of each frame on which the object was prompted, with (N, 1, H, W) float32 logits of the objects left,
            at the size of the video's frames. Empty if not ``need_output``, no object is left, or none was removed.

        Raises
        ------
        StateError
            No such object, and ``strict``.
        """
        if obj_id not in inference_state.objects and not strict:
            return inference_state.obj_ids, []
        removed = inference_state.existing_object(obj_id)
        prompted = removed.prompted_frames()
        if self.joint_objects:
            for frame_index in prompted:
                self._take_back_prompt(inference_state, removed, frame_index)
                removed = inference_state.existing_object(obj_id)
        inference_state.remove(obj_id)
        inference_state.records.flush()
        if not need_output or not inference_state.objects:
            return inference_state.obj_ids, []
        updated = [(frame_index, self.masks_on_frame(inference_state, frame_index).logits) for frame_index in prompted]
        return inference_state.obj_ids, updated

    def propagate_in_video(
        self,
        inference_state: VideoState,
        start_frame_idx: int | None = None,
        max_frame_num_to_track: int | None = None,
        reverse: bool = False,
    ) -> Iterator[tuple[int, list[Hashable], torch.Tensor]]:
        """Carry the objects through the video; see :meth:`propagate`.

        As in the official predictor, a corrected frame is tracked again unless ``add_all_frames_to_correct_as_cond``.

        Parameters
        ----------
        inference_state : VideoState
            The video, from :meth:`init_state`.
        start_frame_idx : int, optional
            Index of the frame to begin with, from 0; by default the earliest conditioning frame.
        max_frame_num_to_track : int, optional
            How many frames, the first included, 0 or more; by default all that are left in this direction. With
            ``official_frame_count``, how many follow the first one.
        reverse : bool
            Go towards the video's first frame rather than its last.

        Yields
        ------
        frame_idx : int
            The frame.
        obj_ids : list of hashable
            The N object ids, in the order of the logits' first axis.
        logits : torch.Tensor
            (N, 1, H, W) float32 mask logits at the size of the video's frames, on the model's device; above 0 is the
            object.

        Raises
        ------
        StateError, InvalidTypeError, InvalidInputError
            As for :meth:`propagate`, but when the first frame is asked for.
        """
        frame_count = max_frame_num_to_track
        if frame_count is not None:
            frame_count = checked_frame_count(frame_count) + self.official_frame_count
        for result in self.propagate(
            inference_state,
            start_frame_idx,
            frame_count,
            reverse=reverse,
            keep_corrections=False,
            stop_when_empty=None,
        ):
            yield result.frame_index, result.object_ids, result.logits


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
            compile_forward(part)
        take_any_number_of_points(self.sam_prompt_encoder)


class SAM2VideoPredictorLegacy(SAM2VideoPredictor):
    """The predictor as the official one was before December 2024: objects are tracked jointly.

    Parameters
    ----------
    clear_non_cond_mem_for_multi_obj, joint_objects : bool
        See :class:`SAM2VideoPredictor`; only these defaults differ.
    **kwargs
        Its other options.
    """

    def __init__(
        self,
        *args: Any,
        clear_non_cond_mem_for_multi_obj: bool = False,
        joint_objects: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *args,
            clear_non_cond_mem_for_multi_obj=clear_non_cond_mem_for_multi_obj,
            joint_objects=joint_objects,
            **kwargs,
        )
