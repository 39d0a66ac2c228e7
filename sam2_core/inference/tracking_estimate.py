"""How long tracking will take and what it will need, told before it starts from a measured step."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import torch

from sam2_core.errors import InvalidInputError
from sam2_core.inference.frame_record import facts_to_bytes, logits_to_bytes
from sam2_core.inference.model_autocast_off import without_autocast
from sam2_core.model.results import MemoryTokens

if TYPE_CHECKING:
    from sam2_core.inference.video_state import VideoState
    from sam2_core.inference.video_tracker import VideoTracker

T = TypeVar("T")

#: A cheaper way to track: says how many seconds it takes for so many frames and objects.
Preset = Callable[["VideoState", int, int], float]


@dataclass(frozen=True)
class TrackingEstimate:
    """What tracking will take.

    Attributes
    ----------
    frames, objects : int
        What it was asked for.
    seconds : float
        All of it, on this machine as it is loaded now.
    seconds_per_frame, seconds_per_object : float
        What a frame costs whatever the objects (encoding the image), and what each object adds to it, with a full
        memory.
    disk_bytes : int
        Size of the records, before any quota.
    memory_bytes : int
        Mask memories and working space, beside the model and the frames' features.
    cheaper : dict of str to float
        Seconds of each cheaper preset that was asked about, by its name.
    """

    frames: int
    objects: int
    seconds: float
    seconds_per_frame: float
    seconds_per_object: float
    disk_bytes: int
    memory_bytes: int
    cheaper: dict[str, float] = field(default_factory=dict)


def estimate_tracking(
    tracker: VideoTracker,
    state: VideoState,
    frames: int | None,
    objects: int | None,
    presets: Mapping[str, Preset] | None,
) -> TrackingEstimate:
    """See :meth:`VideoSegmenter.estimate`."""
    frames = state.num_frames if frames is None else frames
    objects = len(state.objects) if objects is None else objects
    if frames < 0 or objects < 0:
        raise InvalidInputError(f"Numbers of frames and objects are 0 or more; got {frames} and {objects}.")
    image = state.images[state.num_frames - 1][None].to(tracker.device)
    encoding, (features, _) = _timed(tracker, lambda: (tracker.forward_image(image), None))
    height, width = features.grid
    memories, pointers = tracker.num_maskmem * height * width, 0
    if tracker.use_obj_ptrs_in_encoder:
        pointers = tracker.max_obj_ptrs_in_encoder * max(tracker.hidden_dim // tracker.mem_dim, 1)
    shape = (1, memories + pointers, tracker.mem_dim)
    # attention costs the same whatever it looks at, so long as it looks at as much
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(tracker.device, tracker.dtype)
    tokens = MemoryTokens(noise, torch.zeros_like(noise), pointers)

    def step() -> tuple[object, torch.Tensor]:
        output = tracker.track_step(0, False, features, None, None, tokens, None)
        return output, output.low_res_masks.float()

    one_object, (output, logits) = _timed(tracker, step)
    (record,) = tracker._records(state, output, from_prompt=False)  # type: ignore[arg-type]
    size = len(logits_to_bytes(logits, tracker.dtype)) + len(facts_to_bytes(record))
    slots = objects * (tracker._window.span + 1) * height * width * tracker.mem_dim * tracker.dtype.itemsize
    batch = min(tracker._objects_per_batch(state), max(objects, 1))
    seconds = frames * (encoding + objects * one_object)
    return TrackingEstimate(
        frames=frames,
        objects=objects,
        seconds=seconds,
        seconds_per_frame=encoding,
        seconds_per_object=one_object,
        disk_bytes=frames * objects * size,
        memory_bytes=min(slots, state.memories.budget_bytes) + batch * tracker._step_bytes(),
        cheaper={name: preset(state, frames, objects) for name, preset in (presets or {}).items()},
    )


def _timed(tracker: VideoTracker, work: Callable[[], T]) -> tuple[float, T]:
    """Do work twice, the first time to warm up, and return the seconds of the second time."""
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        with without_autocast(tracker.device):
            result = work()
        if tracker.device.type == "cuda":
            torch.cuda.synchronize(tracker.device)
        seconds = time.perf_counter() - start
    return seconds, result
