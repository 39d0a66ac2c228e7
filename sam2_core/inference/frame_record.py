"""What was found for one object on one frame, and how it is written down without loss."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

_FACTS = struct.Struct("<BBBBHHHf")
_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_BITS = {torch.float32: torch.int32, torch.bfloat16: torch.int16, torch.float16: torch.int16}
#: Logits a mask is shown with once the logits it came from are gone.
KEPT_MASK_LOGIT = 10.0
#: What a record's five tensors take beside their values.
TENSORS_BYTES = 2048


@dataclass(eq=False)
class FrameRecord:
    """What was found for one object on one frame.

    Attributes
    ----------
    mask_logits : torch.Tensor or None
        (1, 1, h, w) float32 at a quarter of the model's input size, before holes are filled; None once they were
        dropped for want of space.
    mask : torch.Tensor
        (1, 1, h, w) bool: the logits above 0; kept when the logits are dropped.
    object_pointer : torch.Tensor
        (1, C), in the model's dtype.
    object_score_logits : torch.Tensor
        (1, 1); above 0 where the object is seen.
    predicted_iou : torch.Tensor
        (1,) float32.
    from_prompt : bool
        Whether a prompt made it, rather than tracking.
    """

    mask_logits: torch.Tensor | None
    mask: torch.Tensor
    object_pointer: torch.Tensor
    object_score_logits: torch.Tensor
    predicted_iou: torch.Tensor
    from_prompt: bool

    @property
    def nbytes(self) -> int:
        """Bytes it takes in memory."""
        logits = 0 if self.mask_logits is None else self.mask_logits.nbytes
        return logits + self.mask.nbytes + self.object_pointer.nbytes + TENSORS_BYTES

    @property
    def shown_logits(self) -> torch.Tensor:
        """(1, 1, h, w) float32: the logits, or plus and minus ten for the mask where they were dropped."""
        if self.mask_logits is not None:
            return self.mask_logits
        return self.mask.float() * (2 * KEPT_MASK_LOGIT) - KEPT_MASK_LOGIT


def facts_to_bytes(record: FrameRecord) -> bytes:
    """Everything of a record but its logits: mask, pointer and scores."""
    height, width = record.mask.shape[-2:]
    mask = zlib.compress(np.packbits(record.mask[0, 0].cpu().numpy()).tobytes(), 1)
    pointer = record.object_pointer.detach().cpu().contiguous()
    score = record.object_score_logits.detach().cpu().reshape(1).contiguous()
    head = _FACTS.pack(
        int(record.from_prompt),
        _DTYPES.index(pointer.dtype),
        _DTYPES.index(score.dtype),
        0,
        height,
        width,
        pointer.shape[1],
        float(record.predicted_iou),
    )
    return head + _to_bytes(score) + _to_bytes(pointer) + mask


def facts_from_bytes(data: bytes, logits: torch.Tensor | None, device: torch.device) -> FrameRecord:
    """Undo :func:`facts_to_bytes`, with the logits if they are still there."""
    from_prompt, pointer_code, score_code, _, height, width, channels, iou = _FACTS.unpack_from(data)
    start = _FACTS.size
    score, start = _from_bytes(data, start, _DTYPES[score_code], 1)
    pointer, start = _from_bytes(data, start, _DTYPES[pointer_code], channels)
    bits = np.frombuffer(zlib.decompress(data[start:]), np.uint8)
    mask = np.unpackbits(bits, count=height * width).reshape(1, 1, height, width).astype(bool)
    return FrameRecord(
        mask_logits=None if logits is None else logits.view(1, 1, height, width).to(device),
        mask=torch.from_numpy(mask).to(device),
        object_pointer=pointer[None].to(device),
        object_score_logits=score[None].to(device),
        predicted_iou=torch.tensor([iou]).to(device),
        from_prompt=bool(from_prompt),
    )


def logits_to_bytes(logits: torch.Tensor, dtype: torch.dtype) -> bytes:
    """Compress float32 logits without loss, in the dtype they were computed in where they fit into it.

    Bytes are shuffled and packed by LZ4: a third of a millisecond for 256 x 256, which more thorough methods spend ten
    times for a few percent.
    """
    values = logits.detach().cpu().contiguous()
    if dtype in (torch.bfloat16, torch.float16):
        narrow = values.to(dtype)
        if torch.equal(narrow.float(), values):
            values = narrow
    code = _DTYPES.index(values.dtype)
    return bytes([code]) + bytes(_codec().encode(_to_bytes(values)))


def logits_from_bytes(data: bytes) -> torch.Tensor:
    """Undo :func:`logits_to_bytes`: a flat float32 tensor."""
    dtype = _DTYPES[data[0]]
    raw = bytes(_codec().decode(data[1:]))
    values, _ = _from_bytes(raw, 0, dtype, len(raw) // dtype.itemsize)
    return values.float()


def _codec() -> Any:
    from numcodecs import Blosc

    return Blosc(cname="lz4", clevel=1, shuffle=Blosc.SHUFFLE)


def _to_bytes(tensor: torch.Tensor) -> bytes:
    return bytes(tensor.view(_BITS[tensor.dtype]).numpy().tobytes())


def _from_bytes(data: bytes, start: int, dtype: torch.dtype, count: int) -> tuple[torch.Tensor, int]:
    bits = np.frombuffer(data, np.int32 if dtype == torch.float32 else np.int16, count, start)
    tensor = torch.from_numpy(bits.copy()).view(dtype)
    return tensor, start + count * dtype.itemsize
