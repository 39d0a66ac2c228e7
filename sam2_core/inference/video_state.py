"""What the video predictor knows of one video: its frames, its objects, their prompts and what was found for them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from sam2_core.errors import StateError
from sam2_core.inference.frame_features import FrameFeatures
from sam2_core.inference.video_frames import PreparedFrames
from sam2_core.inference.video_memory import ResidentMemories
from sam2_core.model.results import EncodedMemory, FrameOutput, PointPrompts


@dataclass(eq=False)
class FrameRecord:
    """What was found for one object on one frame.

    Attributes
    ----------
    mask_logits : torch.Tensor
        (1, 1, h, w) at a quarter of the model's input size, before holes are filled; float32, or float16 on the CPU
        once compacted.
    object_pointer : torch.Tensor
        (1, C).
    object_score_logits : torch.Tensor
        (1, 1); above 0 where the object is seen.
    predicted_iou : torch.Tensor
        (1,).
    from_prompt : bool
        Whether a prompt made it, rather than tracking.
    memory : torch.Tensor or None
        (1, C, h, w) memory features; None if not encoded yet or let go of.
    """

    mask_logits: torch.Tensor
    object_pointer: torch.Tensor
    object_score_logits: torch.Tensor
    predicted_iou: torch.Tensor
    from_prompt: bool
    memory: torch.Tensor | None = None

    @property
    def resident_bytes(self) -> int:
        """Bytes that :meth:`compact` gives back, about; 0 where no memory is held."""
        if self.memory is None:
            return 0
        return self.memory.nbytes + self.mask_logits.nbytes

    def compact(self) -> None:
        """Let go of the memory, which can be encoded anew from the mask, and keep the mask in half the bytes."""
        self.memory = None
        self.mask_logits = self.mask_logits.to("cpu", torch.float16)


@dataclass(eq=False)
class TrackedObject:
    """One object: its prompts and its records, independent of every other object's.

    Attributes
    ----------
    object_id : hashable
        The caller's name for it.
    point_prompts, mask_prompts : dict of int to prompt
        By frame index; a frame has points (and box) or a mask, never both.
    conditioning : dict of int to FrameRecord
        Frames every other frame attends to, in the order in which they became so.
    recent : dict of int to FrameRecord
        Tracked frames, attended to for a while.
    pending : dict of int to (FrameRecord, bool)
        Results of prompts not yet made part of the memory, and whether they will be conditioning frames.
    tracked : dict of int to bool
        Frames that propagation went over, and whether it went backwards.
    """

    object_id: Hashable
    point_prompts: dict[int, PointPrompts] = field(default_factory=dict)
    mask_prompts: dict[int, torch.Tensor] = field(default_factory=dict)
    conditioning: dict[int, FrameRecord] = field(default_factory=dict)
    recent: dict[int, FrameRecord] = field(default_factory=dict)
    pending: dict[int, tuple[FrameRecord, bool]] = field(default_factory=dict)
    tracked: dict[int, bool] = field(default_factory=dict)

    def latest(self, frame_index: int) -> FrameRecord | None:
        """Return the newest record of a frame, if there is one."""
        pending = self.pending.get(frame_index)
        if pending is not None:
            return pending[0]
        return self.conditioning.get(frame_index) or self.recent.get(frame_index)

    def is_corrected(self, frame_index: int) -> bool:
        """Whether a tracked frame's result comes from a prompt that still stands."""
        record = self.recent.get(frame_index)
        return record is not None and record.from_prompt and frame_index in self.prompted_frames()

    def prompted_frames(self) -> list[int]:
        """List the frames with a prompt, in order."""
        return sorted({*self.point_prompts, *self.mask_prompts})


class VideoState:
    """A video being worked on, as :meth:`SAM2VideoPredictor.init_state` hands it out.

    Attributes are the way in. For code written against the official package its keys can be read too:
    ``state["num_frames"]``, ``"video_height"``, ``"video_width"``, ``"images"``, ``"obj_ids"``, ``"obj_id_to_idx"``,
    ``"obj_idx_to_id"``, ``"device"``, ``"storage_device"``, ``"offload_video_to_cpu"``, ``"offload_state_to_cpu"``,
    ``"point_inputs_per_obj"``, ``"mask_inputs_per_obj"``, ``"output_dict_per_obj"``, ``"frames_tracked_per_obj"``. They
    are views for reading: to change the state, call the predictor.

    Parameters
    ----------
    images : PreparedFrames
        The frames, read when needed.
    features : FrameFeatures
        Their image features: kept, or encoded when needed.
    device, storage_device : torch.device
        Where the model computes, and where memories are kept.
    memory_budget_bytes : int
        See :class:`~sam2_core.inference.video_memory.ResidentMemories`.
    """

    def __init__(
        self,
        images: PreparedFrames,
        features: FrameFeatures,
        *,
        device: torch.device,
        storage_device: torch.device,
        memory_budget_bytes: int,
    ) -> None:
        self.images = images
        self.features = features
        self.device = device
        self.storage_device = storage_device
        self.resident = ResidentMemories(memory_budget_bytes)
        self.objects: OrderedDict[Hashable, TrackedObject] = OrderedDict()
        self.memory_position: torch.Tensor | None = None

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return len(self.images)

    @property
    def video_height(self) -> int:
        """Height of the frames in pixels."""
        return self.images.frame_size[0]

    @property
    def video_width(self) -> int:
        """Width of the frames in pixels."""
        return self.images.frame_size[1]

    @property
    def obj_ids(self) -> list[Hashable]:
        """The object ids, in the order in which they came."""
        return list(self.objects)

    @property
    def obj_id_to_idx(self) -> dict[Hashable, int]:
        """Position of each object id in the results."""
        return {object_id: position for position, object_id in enumerate(self.objects)}

    @property
    def obj_idx_to_id(self) -> dict[int, Hashable]:
        """Object id at each position in the results."""
        return dict(enumerate(self.objects))

    def __getitem__(self, key: str) -> Any:
        try:
            read = _OFFICIAL_KEYS[key]
        except KeyError:
            raise KeyError(f"{key!r}; the state has {', '.join(_OFFICIAL_KEYS)}") from None
        return read(self)

    def __contains__(self, key: object) -> bool:
        return key in _OFFICIAL_KEYS

    def __iter__(self) -> Iterator[str]:
        return iter(_OFFICIAL_KEYS)

    def keys(self) -> list[str]:
        """The official keys that can be read."""
        return list(_OFFICIAL_KEYS)

    def existing_object(self, object_id: Hashable) -> TrackedObject:
        """Return an object.

        Raises
        ------
        StateError
            There is none of that id.
        """
        try:
            return self.objects[object_id]
        except KeyError:
            known = ", ".join(repr(known_id) for known_id in self.objects) or "none yet"
            raise StateError(f"There is no object {object_id!r} in this video. Its objects: {known}.") from None

    def forget_objects(self) -> None:
        """Remove all objects with everything found for them; the frames and their features stay."""
        self.objects.clear()

    def close(self) -> None:
        """Let go of objects, features and the source of the frames."""
        self.forget_objects()
        self.features.close()
        self.images.close()


def batched_output(records: list[FrameRecord], position: torch.Tensor | None, device: torch.device) -> FrameOutput:
    """Join one frame's records of several objects into what the network reads as memory.

    Parameters
    ----------
    records : list of FrameRecord
        One for each of B objects.
    position : torch.Tensor or None
        (1, C, h, w) spatial position encoding of memories, the same for all.
    device : torch.device
        Where the network computes.
    """
    pointers = torch.cat([record.object_pointer for record in records]).to(device)
    scores = torch.cat([record.object_score_logits for record in records]).to(device)
    memories = [record.memory for record in records if record.memory is not None]
    memory = None
    if position is not None and len(memories) == len(records):
        features = memories[0] if len(memories) == 1 else torch.cat(memories)
        memory = EncodedMemory(features.to(device, non_blocking=True), position.expand(len(records), -1, -1, -1))
    # masks are no part of what later frames attend to
    nothing = pointers.new_empty(len(records), 0)
    return FrameOutput(
        low_res_multimasks=nothing,
        high_res_multimasks=nothing,
        predicted_ious=nothing,
        low_res_masks=nothing,
        high_res_masks=nothing,
        object_pointer=pointers,
        object_score_logits=scores,
        memory=memory,
    )


def _official_record(record: FrameRecord) -> dict[str, Any]:
    return {
        "pred_masks": record.mask_logits,
        "obj_ptr": record.object_pointer,
        "object_score_logits": record.object_score_logits,
        "maskmem_features": record.memory,
    }


def _official_outputs(tracked: TrackedObject) -> dict[str, dict[int, dict[str, Any]]]:
    return {
        "cond_frame_outputs": {frame: _official_record(record) for frame, record in tracked.conditioning.items()},
        "non_cond_frame_outputs": {frame: _official_record(record) for frame, record in tracked.recent.items()},
    }


def _per_object(read: Callable[[TrackedObject], Any]) -> Callable[[VideoState], dict[int, Any]]:
    return lambda state: {position: read(tracked) for position, tracked in enumerate(state.objects.values())}


def _official_points(tracked: TrackedObject) -> dict[int, dict[str, torch.Tensor]]:
    return {
        frame: {"point_coords": prompt.coords, "point_labels": prompt.labels}
        for frame, prompt in tracked.point_prompts.items()
    }


_OFFICIAL_KEYS: dict[str, Callable[[VideoState], Any]] = {
    "images": lambda state: state.images,
    "num_frames": lambda state: state.num_frames,
    "offload_video_to_cpu": lambda state: state.images.device.type == "cpu",
    "offload_state_to_cpu": lambda state: state.storage_device.type == "cpu",
    "video_height": lambda state: state.video_height,
    "video_width": lambda state: state.video_width,
    "device": lambda state: state.device,
    "storage_device": lambda state: state.storage_device,
    "obj_ids": lambda state: state.obj_ids,
    "obj_id_to_idx": lambda state: state.obj_id_to_idx,
    "obj_idx_to_id": lambda state: state.obj_idx_to_id,
    "point_inputs_per_obj": _per_object(_official_points),
    "mask_inputs_per_obj": _per_object(lambda tracked: dict(tracked.mask_prompts)),
    "output_dict_per_obj": _per_object(_official_outputs),
    "frames_tracked_per_obj": _per_object(
        lambda tracked: {frame: {"reverse": reverse} for frame, reverse in tracked.tracked.items()}
    ),
}
