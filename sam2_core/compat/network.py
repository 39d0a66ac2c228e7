"""The parts of the network whose results have other shapes in the official code.

Each is ours, and hands out ours: the typed results can be read the official way as well (a dict by string keys, a tuple
by unpacking). So one and the same model serves our predictors and code that calls its parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sam2_core.compat.frame_steps import FrameSteps
from sam2_core.compat.signatures import with_signature_of
from sam2_core.inference.video_tracker import VideoTracker
from sam2_core.model import image_encoder, mask_decoder, memory_attention, memory_encoder, sam2_base
from sam2_core.model.results import DecodedMasks, EncodedMemory, ImageFeatures


class OfficialFeatures(ImageFeatures):
    """Image features, also by the keys ``vision_features``, ``vision_pos_enc`` and ``backbone_fpn``."""

    def __getitem__(self, key: str) -> Any:
        return self.copy()[key]

    def keys(self) -> list[str]:
        """The official keys, so that ``dict(features)`` works."""
        return list(self.copy())

    def copy(self) -> dict[str, Any]:
        """Return the official dict, for code that goes on to change it."""
        return {
            "vision_features": self.maps[-1],
            "vision_pos_enc": list(self.positions),
            "backbone_fpn": list(self.maps),
        }


class OfficialMasks(DecodedMasks):
    """Decoded masks that unpack into masks, predicted IoUs, tokens and object scores."""

    def __iter__(self) -> Iterator[Tensor]:
        return iter((self.masks, self.predicted_ious, self.tokens, self.object_score_logits))

    def __getitem__(self, index: int) -> Tensor:
        return tuple(self)[index]


class OfficialMemory(EncodedMemory):
    """An encoded memory, also by the keys ``vision_features`` and ``vision_pos_enc``."""

    def __getitem__(self, key: str) -> Any:
        return {"vision_features": self.features, "vision_pos_enc": [self.position]}[key]


class ImageEncoder(image_encoder.ImageEncoder):
    """The image encoder; its result can be read as the official dict."""

    def forward(self, sample: Tensor, projections: Mapping[int, nn.Conv2d] | None = None) -> OfficialFeatures:
        """Encode images (B, 3, H, W)."""
        features = super().forward(sample, projections)
        return OfficialFeatures(features.maps, features.positions)


class MaskDecoder(mask_decoder.MaskDecoder):
    """The mask decoder; its result can be unpacked as the official tuple."""

    @with_signature_of(mask_decoder.MaskDecoder.forward)
    def forward(self, *args: Any, **kwargs: Any) -> OfficialMasks:
        """Decode masks; see :class:`sam2_core.model.mask_decoder.MaskDecoder`."""
        decoded = super().forward(*args, **kwargs)
        return OfficialMasks(decoded.masks, decoded.predicted_ious, decoded.tokens, decoded.object_score_logits)

    def predict_masks(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        repeat_image: bool,
        high_res_features: list[Tensor] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return all masks (B, 4, h, w), predicted IoUs (B, 4), mask tokens (B, 4, C) and object scores (B, 1)."""
        looked = self.look(image_embeddings, image_pe, sparse_prompt_embeddings, dense_prompt_embeddings)
        masks, ious = self.draw(looked, high_res_features), self.predicted_ious(looked)
        return masks, ious, looked.mask_tokens, self.object_score_logits(looked)


class MemoryEncoder(memory_encoder.MemoryEncoder):
    """The memory encoder; its result can be read as the official dict."""

    def forward(self, pix_feat: Tensor, masks: Tensor, skip_mask_sigmoid: bool = False) -> OfficialMemory:
        """Encode a memory; see :class:`sam2_core.model.memory_encoder.MemoryEncoder`."""
        memory = super().forward(pix_feat, masks, skip_mask_sigmoid)
        return OfficialMemory(memory.features, memory.position)


class MemoryAttention(memory_attention.MemoryAttention):
    """Memory attention, called either way.

    Our model names the grid of the frame's tokens and passes (B, N, C). A call without ``grid`` is an official one: its
    tokens are (N, B, C) on a square grid, the frame's perhaps in a list of one, and so is its result.
    """

    def forward(
        self,
        curr: Tensor | Sequence[Tensor],
        memory: Tensor,
        curr_pos: Tensor | Sequence[Tensor] | None = None,
        memory_pos: Tensor | None = None,
        num_obj_ptr_tokens: int = 0,
        grid: tuple[int, int] | None = None,
        opening: Tensor | None = None,
    ) -> Tensor:
        """Condition a frame's features on memory."""
        frame = curr if isinstance(curr, Tensor) else curr[0]
        frame_pos = curr_pos if isinstance(curr_pos, Tensor | None) else curr_pos[0]
        frame_pos = torch.zeros_like(frame) if frame_pos is None else frame_pos
        memory_pos = torch.zeros_like(memory) if memory_pos is None else memory_pos
        if grid is not None:
            return super().forward(frame, memory, frame_pos, memory_pos, num_obj_ptr_tokens, grid, opening)
        frame, memory, frame_pos, memory_pos = (t.transpose(0, 1) for t in (frame, memory, frame_pos, memory_pos))
        return super().forward(frame, memory, frame_pos, memory_pos, num_obj_ptr_tokens).transpose(0, 1)


class SAM2Base(FrameSteps):
    """The network, with the official names of what fine-tuning code calls."""

    @with_signature_of(sam2_base.SAM2Base.__init__)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _adapt_parts(self)

    def forward_image(self, img_batch: Tensor) -> OfficialFeatures:
        """Encode images (B, 3, H, W)."""
        features = super().forward_image(img_batch)
        return OfficialFeatures(features.maps, features.positions)


# Our class -> the same with official shapes. Predictors add theirs.
_ADAPTED: dict[type[nn.Module], type[nn.Module]] = {
    image_encoder.ImageEncoder: ImageEncoder,
    mask_decoder.MaskDecoder: MaskDecoder,
    memory_attention.MemoryAttention: MemoryAttention,
    memory_encoder.MemoryEncoder: MemoryEncoder,
    sam2_base.SAM2Base: SAM2Base,
}


def adapt(ours: type[sam2_base.SAM2Base], official: type[SAM2Base]) -> None:
    """Say which class a model of ours becomes in :func:`speak_official`."""
    _ADAPTED[ours] = official


def speak_official(model: sam2_base.SAM2Base) -> SAM2Base:
    """Let a model and its parts hand out results that can be read the official way.

    The model stays what it is, weights and all; only the classes of itself and four of its parts change, and
    ``propagate_in_video`` goes one frame further than it is told, as programs written for the official one expect.

    Parameters
    ----------
    model : SAM2Base
        Ours, or one that was changed before.

    Returns
    -------
    SAM2Base
        The same object.
    """
    _adapt_parts(model)
    _adapt_class(model)
    if isinstance(model, VideoTracker):
        model.official_frame_count = True
    return model  # type: ignore[return-value]


def _adapt_parts(model: sam2_base.SAM2Base) -> None:
    for part in (model.image_encoder, model.sam_mask_decoder, model.memory_attention, model.memory_encoder):
        _adapt_class(part)


def _adapt_class(module: nn.Module) -> None:
    # Only exactly our classes: somebody's subclass means its own results.
    module.__class__ = _ADAPTED.get(type(module), type(module))
