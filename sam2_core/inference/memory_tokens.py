"""What a batch of objects reads on a frame, laid out for the memory attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sam2_core.errors import StateError
from sam2_core.inference.video_memory import Reading
from sam2_core.inference.video_state import VideoState
from sam2_core.model import SAM2Base
from sam2_core.model.results import MemoryTokens


def memory_tokens(model: SAM2Base, state: VideoState, group: Sequence[Reading]) -> MemoryTokens:
    """Lay out memories and pointers of objects that read as many of each.

    Memories are copied from their slots once; at 1024 pixels that is 7 MB for an object, a thousandth of the time
    which attention to them takes on a CPU.

    Parameters
    ----------
    model : SAM2Base
    state : VideoState
        Has the memories at hand.
    group : sequence of Reading
        Of one shape, one for each of B objects.
    """
    memories, pointers = group[0].shape
    position = state.memory_position
    if position is None:
        raise StateError("No memory was encoded yet: propagate_in_video_preflight comes first.")
    parts = max(model.hidden_dim // model.mem_dim, 1)
    area = position.shape[-2] * position.shape[-1]
    placed = memories * area
    tokens = torch.empty(len(group), placed + pointers * parts, model.mem_dim, dtype=model.dtype, device=model.device)
    for row, reading in enumerate(group):
        for place, (_, frame) in enumerate(reading.frames):
            memory = reading.memory(state.memories, frame)
            if memory is None:
                raise StateError(f"The memory of frame {frame} of object {reading.tracked.object_id!r} is not at hand.")
            tokens[row, place * area : (place + 1) * area].copy_(memory, non_blocking=True)
        if pointers:
            found = torch.cat([reading.pointer(frame) for _, frame in reading.pointers])
            tokens[row, placed:].copy_(found.view(-1, model.mem_dim), non_blocking=True)
    distinct = {(tuple(s for s, _ in reading.frames), tuple(d for d, _ in reading.pointers)) for reading in group}
    # where all objects are equally far from what they remember, one encoding serves them all
    described = group if len(distinct) > 1 else group[:1]
    spatial = position.to(model.device, model.dtype)[0].flatten(1).t()
    limit = model.max_obj_ptrs_in_encoder
    if not state.is_stream:
        limit = min(limit, state.num_frames)
    encodings = torch.stack([_encoding(model, reading, spatial, limit, parts) for reading in described])
    return MemoryTokens(tokens, encodings, pointers * parts)


def _encoding(model: SAM2Base, reading: Reading, spatial: torch.Tensor, limit: int, parts: int) -> torch.Tensor:
    temporal = model.maskmem_tpos_enc[:, 0]  # (memories, 1, C_mem)
    found = [spatial + temporal[slot] for slot, _ in reading.frames]
    if reading.pointers:
        distances = [distance for distance, _ in reading.pointers]
        found.append(model._pointer_encoding(distances, limit).repeat_interleave(parts, dim=0))
    return torch.cat(found)
