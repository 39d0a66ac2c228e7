"""One step of tracking: the network run on a frame for every object that needs it, and what it says put on record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as functional

from sam2_core.errors import InvalidInputError
from sam2_core.inference.frame_masks import FrameMasks
from sam2_core.inference.model_autocast_off import without_autocast
from sam2_core.inference.video_memory import MemoryWindow, objects_by_memory
from sam2_core.inference.video_state import FrameRecord, TrackedObject, VideoState, batched_output
from sam2_core.kernels.mask_cleaning import fill_holes_in_mask_scores
from sam2_core.model import NO_OBJ_SCORE, SAM2Base
from sam2_core.model.results import FrameOutput, ImageFeatures, MemoryBank, PointPrompts

#: Previous logits are held within this range when they are fed back as a mask prompt.
PREVIOUS_LOGIT_LIMIT = 32.0
DEFAULT_MEMORY_BUDGET_BYTES = 512 * 2**20


class VideoTracker(SAM2Base):
    """SAM 2 with a record of what it found: the engine under :class:`SAM2VideoPredictor`, whose options it takes."""

    def __init__(
        self,
        fill_hole_area: int = 0,
        non_overlap_masks: bool = False,
        clear_non_cond_mem_around_input: bool = False,
        add_all_frames_to_correct_as_cond: bool = False,
        *,
        clear_non_cond_mem_for_multi_obj: bool = True,
        official_frame_count: bool = True,
        max_objects_per_batch: int = 16,
        memory_budget_bytes: int = DEFAULT_MEMORY_BUDGET_BYTES,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if max_objects_per_batch < 1:
            raise InvalidInputError(f"max_objects_per_batch must be at least 1; got {max_objects_per_batch}.")
        self.fill_hole_area = fill_hole_area
        self.non_overlap_masks = non_overlap_masks
        self.clear_non_cond_mem_around_input = clear_non_cond_mem_around_input
        self.add_all_frames_to_correct_as_cond = add_all_frames_to_correct_as_cond
        self.clear_non_cond_mem_for_multi_obj = clear_non_cond_mem_for_multi_obj
        self.official_frame_count = official_frame_count
        self.max_objects_per_batch = max_objects_per_batch
        self.memory_budget_bytes = memory_budget_bytes

    @torch.inference_mode()
    def _track_frame(
        self,
        state: VideoState,
        objects: list[TrackedObject],
        frame_index: int,
        reverse: bool,
        keep_corrections: bool,
    ) -> FrameMasks:
        """Track objects to a frame, put what was found on record, and return it."""
        to_track = []
        for tracked in objects:
            if frame_index in tracked.conditioning:
                self._clear_around_prompt(state, tracked, frame_index)
            elif not (keep_corrections and tracked.is_corrected(frame_index)):
                to_track.append(tracked)
        self._restore_memories(state, to_track, frame_index, reverse)
        readable = self._window.readable(frame_index, reverse)
        for group in objects_by_memory(to_track, readable, self._largest_batch):
            output = self._step(state, group, frame_index, reverse=reverse, run_mem_encoder=True)
            for tracked, record in zip(group, self._records(state, output, from_prompt=False), strict=True):
                self._remember(state, tracked, frame_index, record)
        for tracked in objects:
            tracked.tracked[frame_index] = reverse
        span = self._window.span
        state.resident.trim(lambda other: abs(other - frame_index) <= span)
        return self._results(state, frame_index, objects)

    @property
    def _window(self) -> MemoryWindow:
        return MemoryWindow(
            mask_memories=self.num_maskmem,
            stride=self.memory_temporal_stride_for_eval,
            pointers=self.max_obj_ptrs_in_encoder if self.use_obj_ptrs_in_encoder else 0,
        )

    @property
    def _largest_batch(self) -> int:
        # with this option the memory encoder looks across a batch; alone, every object gets the official result
        return 1 if self.non_overlap_masks_for_mem_enc else self.max_objects_per_batch

    def _features(self, state: VideoState, frame_index: int) -> ImageFeatures:
        return state.features.get(frame_index)

    def _answer_prompt(
        self,
        state: VideoState,
        tracked: TrackedObject,
        frame_index: int,
        *,
        points: PointPrompts | None = None,
        mask: torch.Tensor | None = None,
        previous: FrameRecord | None = None,
    ) -> None:
        """Run the network on one object's prompt and keep the result until the next propagation."""
        # a tracked frame is corrected in the light of the object's memory, which needs a conditioning frame
        is_initial = frame_index not in tracked.tracked or not tracked.conditioning
        reverse = tracked.tracked.get(frame_index, False)
        if not is_initial:
            self._restore_memories(state, [tracked], frame_index, reverse)
        if points is not None:
            points = PointPrompts(coords=points.coords.to(self.device), labels=points.labels.to(self.device))
        previous_logits = None
        if previous is not None:
            previous_logits = self._shown_logits([previous]).clamp(-PREVIOUS_LOGIT_LIMIT, PREVIOUS_LOGIT_LIMIT)
        output = self._step(
            state,
            [tracked],
            frame_index,
            is_initial=is_initial,
            points=points,
            mask=mask,
            previous_logits=previous_logits,
            reverse=reverse,
            run_mem_encoder=False,
        )
        (record,) = self._records(state, output, from_prompt=True)
        tracked.pending[frame_index] = (record, is_initial or self.add_all_frames_to_correct_as_cond)
        state.objects[tracked.object_id] = tracked

    def _step(
        self,
        state: VideoState,
        group: list[TrackedObject],
        frame_index: int,
        *,
        reverse: bool,
        run_mem_encoder: bool,
        is_initial: bool = False,
        points: PointPrompts | None = None,
        mask: torch.Tensor | None = None,
        previous_logits: torch.Tensor | None = None,
    ) -> FrameOutput:
        """Run the network for objects that remember the same frames."""
        features = self._features(state, frame_index).expand(len(group))
        bank = MemoryBank()
        if not is_initial:
            bank.conditioning = {
                frame: self._joined_memory(state, [tracked.conditioning[frame] for tracked in group])
                for frame in group[0].conditioning
            }
            bank.recent = {
                frame: self._joined_memory(state, [tracked.recent[frame] for tracked in group])
                for frame in self._window.readable(frame_index, reverse)
                if frame in group[0].recent
            }
        with without_autocast(self.device):
            return self.track_step(
                frame_idx=frame_index,
                is_init_cond_frame=is_initial,
                features=features,
                point_inputs=points,
                mask_inputs=None if mask is None else mask.to(self.device),
                memory=bank,
                num_frames=state.num_frames,
                track_in_reverse=reverse,
                run_mem_encoder=run_mem_encoder,
                prev_sam_mask_logits=previous_logits,
            )

    def _joined_memory(self, state: VideoState, records: list[FrameRecord]) -> FrameOutput:
        return batched_output(records, state.memory_position, self.device)

    def _records(self, state: VideoState, output: FrameOutput, *, from_prompt: bool) -> list[FrameRecord]:
        """Take a batch's output apart into one record for each object."""
        count = output.object_pointer.shape[0]
        memories: list[torch.Tensor | None] = [None] * count
        if output.memory is not None:
            memories = list(self._stored_memories(state, output.memory.features, output.memory.position))
        logits = output.low_res_masks.float().to(state.storage_device)
        best = output.predicted_ious.float().amax(dim=1)
        records = []
        for position in range(count):
            row = slice(position, position + 1)
            records.append(
                FrameRecord(
                    # a copy of its own, so that letting one object's go frees it
                    mask_logits=logits[row].clone(),
                    object_pointer=output.object_pointer[row].clone(),
                    object_score_logits=output.object_score_logits[row].clone(),
                    predicted_iou=best[row].clone(),
                    from_prompt=from_prompt,
                    memory=memories[position],
                )
            )
        return records

    def _stored_memories(
        self, state: VideoState, features: torch.Tensor, position: torch.Tensor
    ) -> Iterator[torch.Tensor]:
        """Split memory features by object, on the storage device; their position encoding is kept once."""
        if state.memory_position is None:
            state.memory_position = position[:1].clone()
        features = features.to(state.storage_device)
        return (features[row : row + 1].clone() for row in range(features.shape[0]))

    def _remember(self, state: VideoState, tracked: TrackedObject, frame_index: int, record: FrameRecord) -> None:
        tracked.recent[frame_index] = record
        state.resident.add(record, frame_index)

    def _encode_memories(self, state: VideoState, frame_index: int, records: list[FrameRecord]) -> None:
        """Encode those of one frame's records that have no memory."""
        if self.num_maskmem == 0:
            return
        for from_prompt in (True, False):
            missing = [record for record in records if record.memory is None and record.from_prompt == from_prompt]
            for start in range(0, len(missing), self._largest_batch):
                batch = missing[start : start + self._largest_batch]
                # tracking encodes masks as the decoder gave them, a prompt's masks as the person saw them
                logits = self._shown_logits(batch) if from_prompt else self._raw_logits(batch)
                masks = functional.interpolate(logits, size=self.input_size, mode="bilinear", align_corners=False)
                with without_autocast(self.device):
                    memory = self.encode_memory(
                        self._features(state, frame_index).expand(len(batch)),
                        masks,
                        torch.cat([record.object_score_logits for record in batch]),
                        from_prompt,
                    )
                memories = self._stored_memories(state, memory.features, memory.position)
                for record, features in zip(batch, memories, strict=True):
                    record.memory = features

    def _restore_memories(
        self, state: VideoState, objects: list[TrackedObject], frame_index: int, reverse: bool
    ) -> None:
        """Encode anew what a frame is about to read and was let go of."""
        for frame in self._window.memory_frames(frame_index, reverse):
            records = [tracked.recent[frame] for tracked in objects if frame in tracked.recent]
            missing = [record for record in records if record.memory is None]
            self._encode_memories(state, frame, missing)
            for record in missing:
                state.resident.add(record, frame)

    def _clear_around_prompt(self, state: VideoState, tracked: TrackedObject, frame_index: int) -> None:
        """Forget what was tracked around a prompted frame, where that is wanted; corrections stay."""
        if not self.clear_non_cond_mem_around_input:
            return
        if len(state.objects) > 1 and not self.clear_non_cond_mem_for_multi_obj:
            return
        reach = self.memory_temporal_stride_for_eval * self.num_maskmem
        prompted = set(tracked.prompted_frames())
        for frame in range(frame_index - reach, frame_index + reach + 1):
            if frame not in prompted:
                tracked.recent.pop(frame, None)

    def _raw_logits(self, records: list[FrameRecord]) -> torch.Tensor:
        """(N, 1, h, w) float32 logits of N records, on the model's device, as the decoder gave them."""
        return torch.cat([record.mask_logits.to(self.device).float() for record in records])

    def _shown_logits(self, records: list[FrameRecord]) -> torch.Tensor:
        """(N, 1, h, w) float32 logits of N records, on the model's device, holes filled."""
        logits = self._raw_logits(records)
        return fill_holes_in_mask_scores(logits, self.fill_hole_area) if self.fill_hole_area > 0 else logits

    def _results(self, state: VideoState, frame_index: int, objects: list[TrackedObject]) -> FrameMasks:
        """Put together what is known of objects on a frame, at the size of the video."""
        height, width = self.sam_prompt_encoder.mask_input_size
        low_res = torch.full((len(objects), 1, height, width), NO_OBJ_SCORE, device=self.device)
        predicted_ious = torch.full((len(objects),), float("nan"), device=self.device)
        object_scores = torch.full((len(objects),), float("nan"), device=self.device)
        found = [(row, record) for row, tracked in enumerate(objects) if (record := tracked.latest(frame_index))]
        if found:
            rows = [row for row, _ in found]
            records = [record for _, record in found]
            low_res[rows] = self._shown_logits(records)
            predicted_ious[rows] = torch.cat([record.predicted_iou for record in records]).to(self.device)
            scores = torch.cat([record.object_score_logits for record in records])
            object_scores[rows] = scores[:, 0].float().to(self.device)
        frame_size = state.images.frame_size
        if not objects:
            logits = low_res.new_empty(0, 1, *frame_size)
        elif frame_size == (height, width):
            logits = low_res
        else:
            logits = functional.interpolate(low_res, size=frame_size, mode="bilinear", align_corners=False)
        if self.non_overlap_masks:
            logits = self.apply_non_overlapping_constraints(logits)
        return FrameMasks(
            frame_index=frame_index,
            object_ids=[tracked.object_id for tracked in objects],
            logits=logits,
            low_res_logits=low_res,
            predicted_ious=predicted_ious,
            object_scores=object_scores,
        )
