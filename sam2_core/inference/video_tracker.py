"""One step of tracking: the network run on a frame for every object that needs it, and what it says put on record."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as functional

from sam2_core.errors import InvalidInputError
from sam2_core.inference.frame_masks import FrameMasks
from sam2_core.inference.frame_record import FrameRecord
from sam2_core.inference.memory_tokens import memory_tokens
from sam2_core.inference.model_autocast_off import without_autocast
from sam2_core.inference.record_index import RecordRef
from sam2_core.inference.tracked_object import Change, Place, TrackedObject
from sam2_core.inference.video_memory import MemoryWindow, Reading, grouped_readings
from sam2_core.inference.video_state import VideoState
from sam2_core.kernels.mask_cleaning import fill_holes_in_mask_scores
from sam2_core.model import NO_OBJ_SCORE, SAM2Base
from sam2_core.model.results import FrameOutput, ImageFeatures, MemoryBank, MemoryTokens, PointPrompts

#: Previous logits are held within this range when they are fed back as a mask prompt.
PREVIOUS_LOGIT_LIMIT = 32.0
DEFAULT_MEMORY_BUDGET_BYTES = 2**30
#: Objects computed at once on a GPU.
OBJECTS_PER_BATCH = 16


class Cancelled(Exception):
    """Work was given up because the caller's flag said so."""


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
        joint_objects: bool = False,
        official_frame_count: bool = False,
        max_objects_per_batch: int | None = None,
        memory_budget_bytes: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if max_objects_per_batch is not None and max_objects_per_batch < 1:
            raise InvalidInputError(f"max_objects_per_batch must be at least 1; got {max_objects_per_batch}.")
        self.fill_hole_area = fill_hole_area
        self.non_overlap_masks = non_overlap_masks
        self.clear_non_cond_mem_around_input = clear_non_cond_mem_around_input
        self.add_all_frames_to_correct_as_cond = add_all_frames_to_correct_as_cond
        self.clear_non_cond_mem_for_multi_obj = clear_non_cond_mem_for_multi_obj
        self.joint_objects = joint_objects
        self.official_frame_count = official_frame_count
        self.max_objects_per_batch = max_objects_per_batch
        self.memory_budget_bytes = memory_budget_bytes
        self._free_at_first: dict[torch.device, int] = {}

    @property
    def memory_budget_bytes(self) -> int:
        """Bytes for memories and for what is computed at once: as given, else by the device."""
        if self._given_budget is not None:
            return self._given_budget
        if self.device.type != "cuda":
            return DEFAULT_MEMORY_BUDGET_BYTES
        # looked up once: batches of another size would change results in the last digit
        if self.device not in self._free_at_first:
            self._free_at_first[self.device] = torch.cuda.mem_get_info(self.device)[0] // 2
        return max(self._free_at_first[self.device], DEFAULT_MEMORY_BUDGET_BYTES)

    @memory_budget_bytes.setter
    def memory_budget_bytes(self, budget: int | None) -> None:
        if budget is not None and budget < 0:
            raise InvalidInputError(f"memory_budget_bytes cannot be negative; got {budget}.")
        self._given_budget = budget

    # -- one frame -----------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def _track_frame(
        self,
        state: VideoState,
        objects: Sequence[TrackedObject],
        frame_index: int,
        reverse: bool,
        keep_corrections: bool,
        *,
        should_stop: Callable[[], bool] | None = None,
    ) -> FrameMasks:
        """Track objects to a frame, put what was found on record, and return it."""
        to_track = []
        keeps = keep_corrections or self.joint_objects
        # objects that are tracked jointly share what is a corrected frame
        joint_correction = self.joint_objects and any(tracked.is_corrected(frame_index) for tracked in objects)
        for tracked in objects:
            if frame_index in tracked.conditioning:
                self._clear_around_prompt(state, tracked, frame_index)
            elif not (joint_correction or (keeps and tracked.is_corrected(frame_index))):
                to_track.append(tracked)
        before = {tracked.number: tracked.latest_ref(frame_index) for tracked in to_track}
        self._track_objects(state, to_track, frame_index, reverse, should_stop)
        state.mark_tracked(objects, frame_index, reverse)
        return self._results(state, frame_index, objects, before)

    def _track_objects(
        self,
        state: VideoState,
        objects: Sequence[TrackedObject],
        frame_index: int,
        reverse: bool,
        should_stop: Callable[[], bool] | None = None,
    ) -> None:
        """Run the network on a frame for objects that have no prompt there, group by group."""
        for group in grouped_readings(
            self._readings(state, objects, frame_index, reverse), self._objects_per_batch(state)
        ):
            if should_stop is not None and should_stop():
                raise Cancelled
            self._restore_memories(state, group)
            output = self._step(state, len(group), frame_index, memory=self._tokens(state, group), reverse=reverse)
            members = [reading.tracked for reading in group]
            records = self._records(state, output, from_prompt=False)
            for tracked, record in zip(members, records, strict=True):
                tracked.put(frame_index, record, Place.RECENT)
            state.records.flush()
            if not self._encodes_together:
                self._encode_memories(state, frame_index, list(zip(members, records, strict=True)))
        if self._encodes_together and objects:
            self._encode_memories(state, frame_index, [(each, each.record(frame_index)) for each in objects])
        for tracked in objects:
            state.memories.keep_only(tracked.number, self._window.kept(tracked, frame_index))

    def _readings(
        self, state: VideoState, objects: Iterable[TrackedObject], frame_index: int, reverse: bool
    ) -> list[Reading]:
        count = None if state.is_stream else state.num_frames
        return [self._window.reading(tracked, frame_index, count, reverse) for tracked in objects]

    @property
    def _window(self) -> MemoryWindow:
        return MemoryWindow(
            mask_memories=self.num_maskmem,
            stride=self.memory_temporal_stride_for_eval,
            pointers=self.max_obj_ptrs_in_encoder if self.use_obj_ptrs_in_encoder else 0,
            conditioning=self.max_cond_frames_in_attn,
            signed_distance=self.use_signed_tpos_enc_to_obj_ptrs,
            past_pointers_only=self.only_obj_ptrs_in_the_past_for_eval,
        )

    @property
    def _encodes_together(self) -> bool:
        # with this option the memory encoder looks across the objects of a frame, if they are tracked jointly;
        # alone, every object gets the official result
        return self.joint_objects and self.non_overlap_masks_for_mem_enc

    def _objects_per_batch(self, state: VideoState) -> int:
        """How many objects fit into half of the memory budget (the other half is for memories), at least one."""
        fitting = (self.memory_budget_bytes // 2) // self._step_bytes()
        largest = self.max_objects_per_batch
        if largest is None:
            # A CPU gains nothing from batches: at 256 pixels and one thread 3 objects took 0.79 s one by one, 0.99 s
            # as a batch, which leaves the cache. One by one an object also gets the same bits whatever the others are.
            largest = 1 if self.device.type == "cpu" else OBJECTS_PER_BATCH
        return max(1, min(largest, fitting))

    def _step_bytes(self) -> int:
        """Bytes one object takes while a frame is tracked, about: keys, values, hidden layer, maps and masks."""
        height, width = self.input_size
        area = height * width // self.backbone_stride**2
        keys = self.num_maskmem * area + 4 * self.max_obj_ptrs_in_encoder
        attention = keys * (2 * self.mem_dim + 2 * self.hidden_dim) + area * 14 * self.hidden_dim
        # upscaled features of the decoder, four candidate masks, and the mask at full size with its first convolution
        masks = height * width // 16 * (32 + 64) + 4 * height * width // 16 + 6 * height * width
        return attention * self.dtype.itemsize + masks * 4

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
        memory: MemoryTokens | MemoryBank = MemoryBank()
        if not is_initial:
            readings = self._readings(state, [tracked], frame_index, reverse)
            self._restore_memories(state, readings)
            memory = self._tokens(state, readings)
        if points is not None:
            points = PointPrompts(coords=points.coords.to(self.device), labels=points.labels.to(self.device))
        previous_logits = None
        if previous is not None:
            previous_logits = self._shown_logits([previous]).clamp(-PREVIOUS_LOGIT_LIMIT, PREVIOUS_LOGIT_LIMIT)
        output = self._step(
            state,
            1,
            frame_index,
            memory=memory,
            is_initial=is_initial,
            points=points,
            mask=mask,
            previous_logits=previous_logits,
            reverse=reverse,
        )
        (record,) = self._records(state, output, from_prompt=True)
        # a conditioning frame stays one when it is corrected: the object may have no other
        is_conditioning = frame_index in tracked.conditioning
        conditions = is_initial or is_conditioning or self.add_all_frames_to_correct_as_cond
        state.add(tracked)
        tracked.put(frame_index, record, Place.PENDING_CONDITIONING if conditions else Place.PENDING_RECENT)

    def _step(
        self,
        state: VideoState,
        count: int,
        frame_index: int,
        *,
        memory: MemoryTokens | MemoryBank,
        reverse: bool = False,
        is_initial: bool = False,
        points: PointPrompts | None = None,
        mask: torch.Tensor | None = None,
        previous_logits: torch.Tensor | None = None,
    ) -> FrameOutput:
        """Run the network for a batch of objects; their memories are encoded later, from the records."""
        features = self._features(state, frame_index)
        with without_autocast(self.device):
            if self.device.type == "cpu" and not is_initial:
                # objects come one by one there; a batch shares little by it, and may have its attention compiled
                features = state.opened(features, self.with_opening)
            features = features.expand(count)
            return self.track_step(
                frame_idx=frame_index,
                is_init_cond_frame=is_initial,
                features=features,
                point_inputs=points,
                mask_inputs=None if mask is None else mask.to(self.device),
                memory=memory,
                num_frames=None if state.is_stream else state.num_frames,
                track_in_reverse=reverse,
                run_mem_encoder=False,
                prev_sam_mask_logits=previous_logits,
            )

    def _tokens(self, state: VideoState, group: Sequence[Reading]) -> MemoryTokens | MemoryBank:
        if not self.num_maskmem:
            return MemoryBank()
        with without_autocast(self.device):
            return memory_tokens(self, state, group)

    def _records(self, state: VideoState, output: FrameOutput, *, from_prompt: bool) -> list[FrameRecord]:
        """Take a batch's output apart into one record for each object."""
        logits = output.low_res_masks.float().to(state.storage_device)
        pointers = output.object_pointer.to(state.storage_device)
        scores = output.object_score_logits.to(state.storage_device)
        best = output.predicted_ious.float().amax(dim=1).to(state.storage_device)
        rows = [slice(position, position + 1) for position in range(len(best))]
        return [
            FrameRecord(
                # a copy of its own, so that letting one object's go frees it
                mask_logits=logits[row].clone(),
                mask=logits[row] > 0,
                object_pointer=pointers[row].clone(),
                object_score_logits=scores[row].clone(),
                predicted_iou=best[row].clone(),
                from_prompt=from_prompt,
            )
            for row in rows
        ]

    # -- memories ------------------------------------------------------------------------------------------------------

    def _encode_memories(
        self, state: VideoState, frame_index: int, found: Sequence[tuple[TrackedObject, FrameRecord]]
    ) -> None:
        """Encode records of one frame as memories: the one way in which memories come to be, the first time and later.

        On a CPU objects are encoded one by one. That costs nothing there, and makes a memory that is encoded anew equal
        to the first one bit by bit, which convolutions over batches of different size are not.
        """
        if self.num_maskmem == 0:
            return
        if self._encodes_together:
            batch_size = len(found)
        elif self.device.type == "cpu" or self.non_overlap_masks_for_mem_enc:
            batch_size = 1
        else:
            batch_size = self._objects_per_batch(state)
        for from_prompt in (True, False):
            chosen = [(tracked, record) for tracked, record in found if record.from_prompt == from_prompt]
            for start in range(0, len(chosen), batch_size):
                batch = chosen[start : start + batch_size]
                memories = self._encoded(state, frame_index, [record for _, record in batch], from_prompt)
                for (tracked, _), features in zip(batch, memories, strict=True):
                    state.memories.put(tracked.number, frame_index, features)

    def _encoded(
        self, state: VideoState, frame_index: int, records: Sequence[FrameRecord], from_prompt: bool
    ) -> torch.Tensor:
        """Encode a batch of B records of one frame: (B, C, h, w)."""
        # tracking encodes masks as the decoder gave them, a prompt's masks as the person saw them
        logits = self._shown_logits(records) if from_prompt else self._raw_logits(records)
        masks = functional.interpolate(logits, size=self.input_size, mode="bilinear", align_corners=False)
        scores = torch.cat([record.object_score_logits for record in records]).to(self.device)
        with without_autocast(self.device):
            memory = self.encode_memory(
                self._features(state, frame_index).expand(len(records)), masks, scores, from_prompt
            )
        if state.memory_position is None:
            state.memory_position = memory.position[:1].clone()
        return memory.features

    def _restore_memories(self, state: VideoState, readings: Iterable[Reading]) -> None:
        """Encode anew what is about to be read and was let go of, tracking again where the logits are gone too."""
        missing: dict[int, list[TrackedObject]] = {}
        for reading in readings:
            for _, frame in reading.frames:
                if not state.memories.has(reading.tracked.number, frame):
                    missing.setdefault(frame, []).append(reading.tracked)
        for frame, objects in missing.items():
            if self._encodes_together:
                objects = [tracked for tracked in state.objects.values() if tracked.index.ref(frame) is not None]
            for tracked in objects:
                self._restore_logits(state, tracked, frame)
            self._encode_memories(state, frame, [(tracked, tracked.record(frame)) for tracked in objects])

    def _restore_logits(self, state: VideoState, tracked: TrackedObject, frame_index: int) -> None:
        """Track an object again to a frame whose logits were dropped for want of space.

        It starts as far back as memories are missing, in the direction in which the frame was tracked. Where prompts
        did not change since, this gives the same masks again (up to rounding: the batch may have been another).
        """
        if not tracked.has_lost_logits(frame_index) or not tracked.conditioning:
            return
        reverse = tracked.tracked.get(frame_index, False)
        start = frame_index
        while True:
            gone = [
                frame
                for frame in self._window.memory_frames(start, reverse)
                if tracked.has_lost_logits(frame) and not state.memories.has(tracked.number, frame)
            ]
            if not gone:
                break
            start = max(gone) if reverse else min(gone)
        step = -1 if reverse else 1
        for frame in range(start, frame_index + step, step):
            if not tracked.has_lost_logits(frame):
                continue
            readings = self._readings(state, [tracked], frame, reverse)
            self._restore_memories(state, readings)
            output = self._step(state, 1, frame, memory=self._tokens(state, readings), reverse=reverse)
            (record,) = self._records(state, output, from_prompt=False)
            tracked.put(frame, record, Place.RECENT)
            self._encode_memories(state, frame, [(tracked, record)])
        state.records.flush()

    def _clear_around_prompt(self, state: VideoState, tracked: TrackedObject, frame_index: int) -> None:
        """Forget what was tracked around a prompted frame, where that is wanted; corrections and locked frames stay."""
        if not self.clear_non_cond_mem_around_input:
            return
        if len(state.objects) > 1 and not self.clear_non_cond_mem_for_multi_obj:
            return
        reach = self.memory_temporal_stride_for_eval * self.num_maskmem
        for frame in range(max(frame_index - reach, 0), frame_index + reach + 1):
            if frame in tracked.recent and not tracked.is_prompted(frame):
                tracked.change(frame, Change.FORGET)
                state.memories.discard(tracked.number, frame)

    # -- results -------------------------------------------------------------------------------------------------------

    def _raw_logits(self, records: Sequence[FrameRecord]) -> torch.Tensor:
        """(N, 1, h, w) float32 logits of N records, on the model's device, as the decoder gave them."""
        return torch.cat([record.shown_logits.to(self.device).float() for record in records])

    def _shown_logits(self, records: Sequence[FrameRecord]) -> torch.Tensor:
        """(N, 1, h, w) float32 logits of N records, on the model's device, holes filled."""
        logits = self._raw_logits(records)
        return fill_holes_in_mask_scores(logits, self.fill_hole_area) if self.fill_hole_area > 0 else logits

    def _results(
        self,
        state: VideoState,
        frame_index: int,
        objects: Sequence[TrackedObject],
        before: Mapping[int, RecordRef | None] | None = None,
    ) -> FrameMasks:
        """Put together what is known of objects on a frame, at the size of the video.

        ``before`` has, by object number, the records that were replaced, of objects for which that is so.
        """
        height, width = self.sam_prompt_encoder.mask_input_size
        low_res = torch.full((len(objects), 1, height, width), NO_OBJ_SCORE, device=self.device)
        predicted_ious = torch.full((len(objects),), float("nan"), device=self.device)
        object_scores = torch.full((len(objects),), float("nan"), device=self.device)
        for tracked in objects:
            self._restore_logits(state, tracked, frame_index)
        found = [(row, record) for row, tracked in enumerate(objects) if (record := tracked.latest(frame_index))]
        if found:
            rows = [row for row, _ in found]
            records = [record for _, record in found]
            low_res[rows] = self._shown_logits(records)
            predicted_ious[rows] = torch.cat([record.predicted_iou for record in records]).to(self.device)
            scores = torch.cat([record.object_score_logits for record in records])
            object_scores[rows] = scores[:, 0].float().to(self.device)
        replaced: dict[int, torch.Tensor | None] = {}
        for row, tracked in enumerate(objects):
            if before is not None and tracked.number in before:
                old = before[tracked.number]
                replaced[row] = None if old is None else self._shown_logits([state.records.read(old)])
        return FrameMasks(
            frame_index=frame_index,
            object_ids=[tracked.object_id for tracked in objects],
            frame_size=state.images.frame_size,
            low_res_logits=low_res,
            predicted_ious=predicted_ious,
            object_scores=object_scores,
            replaced=replaced,
            constraint=self.apply_non_overlapping_constraints if self.non_overlap_masks else None,
        )

    def _weights_fingerprint(self) -> int:
        """A number that differs, all but certainly, where the weights do: records are of use with their own only."""
        checksum = 0
        for name, parameter in sorted(self.named_parameters()):
            if parameter.dim() == 1 or "tpos" in name:
                values = parameter.detach().float().cpu().contiguous().numpy()
                checksum = zlib.crc32(values.tobytes(), checksum)
        return checksum
