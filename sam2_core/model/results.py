"""What the parts of the network hand to each other.

Notation for shapes: B images or objects, N prompt points, M candidate masks, C channels, (H, W) the model's input size
in pixels, (h, w) the mask grid at stride 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class ImageFeatures:
    """Features of a batch of images.

    Attributes
    ----------
    maps : tuple of Tensor (B, C_l, H_l, W_l)
        Finest first, strides 4, 8, 16. With high-resolution features the first two have gone through the mask
        decoder's ``conv_s0`` and ``conv_s1``.
    positions : tuple of Tensor (B, C, H_l, W_l)
        Sine position encodings of the levels.
    opening : Tensor (B, H_l * W_l, C), optional
        Tokens of the coarsest map as the memory attention begins with them, whatever the object, where they are known
        already (see :meth:`~sam2_core.model.sam2_base.SAM2Base.with_opening`).
    """

    maps: tuple[Tensor, ...]
    positions: tuple[Tensor, ...]
    opening: Tensor | None = None

    @property
    def batch_size(self) -> int:
        """Number of images."""
        return self.maps[-1].shape[0]

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the coarsest level."""
        return self.maps[-1].shape[-2], self.maps[-1].shape[-1]

    def select(self, index: int | slice) -> ImageFeatures:
        """Return the features of some images; the batch axis stays."""
        part = slice(index, index + 1 or None) if isinstance(index, int) else index
        return self._each(lambda tensor: tensor[part])

    def expand(self, count: int) -> ImageFeatures:
        """Repeat the features of one image for ``count`` objects, without a copy."""
        return self._each(lambda tensor: tensor.expand(count, *tensor.shape[1:]))

    def to(self, target: torch.device | torch.dtype | str, *, non_blocking: bool = False) -> ImageFeatures:
        """Move or cast all maps and positions."""
        return self._each(lambda tensor: tensor.to(target, non_blocking=non_blocking))

    def detach(self) -> ImageFeatures:
        """Return the features cut off from the graph that computed them."""
        return self._each(lambda tensor: tensor.detach())

    def _each(self, change: Callable[[Tensor], Tensor]) -> ImageFeatures:
        return ImageFeatures(
            tuple(change(level) for level in self.maps),
            tuple(change(position) for position in self.positions),
            None if self.opening is None else change(self.opening),
        )


@dataclass(frozen=True)
class PointPrompts:
    """Points (and box corners) for a batch of objects.

    Attributes
    ----------
    coords : Tensor (B, N, 2), float32
        (x, y) in pixels of the model's input.
    labels : Tensor (B, N), integer
        1 object, 0 background, 2 and 3 a box's upper-left and lower-right corner, -1 padding.
    """

    coords: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return self.labels.shape[1]

    def of_any_number(self) -> PointPrompts:
        """Tell ``torch.compile`` that N varies, and return the prompts themselves.

        The compiler takes a size of 1 for a constant, and would make one graph for a single point and another for
        several. With this there is one graph for any number from 1 on, whichever it saw first. To be called outside of
        what is compiled; without a compiler it changes nothing.
        """
        from torch._dynamo.decorators import mark_unbacked  # not at import: it brings the whole compiler

        for tensor in (self.coords, self.labels):
            mark_unbacked(tensor, 1)
        return self


@dataclass(frozen=True)
class DecodedMasks:
    """Result of the mask decoder.

    Attributes
    ----------
    masks : Tensor (B, M, h, w)
        Logits.
    predicted_ious : Tensor (B, M)
    tokens : Tensor (B, M or 1, C)
        Output tokens that become object pointers.
    object_score_logits : Tensor (B, 1)
        Above 0: the object is in the frame.
    """

    masks: Tensor
    predicted_ious: Tensor
    tokens: Tensor
    object_score_logits: Tensor


@dataclass(frozen=True)
class EncodedMemory:
    """A frame and its mask as later frames remember them.

    Attributes
    ----------
    features : Tensor (B, C_mem, H/16, W/16)
    position : Tensor (B, C_mem, H/16, W/16)
        Spatial position encoding; the temporal one is added when it is read.
    """

    features: Tensor
    position: Tensor


@dataclass(frozen=True)
class FrameOutput:
    """What the network says of a batch of objects on one frame.

    Attributes
    ----------
    low_res_multimasks, high_res_multimasks : Tensor (B, M, h, w), (B, M, H, W), float32
        Logits of all candidates.
    predicted_ious : Tensor (B, M)
    low_res_masks, high_res_masks : Tensor (B, 1, h, w), (B, 1, H, W), float32
        Logits of the candidate with the highest predicted IoU.
    object_pointer : Tensor (B, C)
    object_score_logits : Tensor (B, 1)
    memory : EncodedMemory, optional
        Absent until the memory encoder has run.
    candidate_tokens : Tensor (B, M or 1, C), optional
        Output tokens of all candidates, or the one they share, of which
        :meth:`~sam2_core.model.frame_segmenter.FrameSegmenter.object_pointer` makes pointers.
    """

    low_res_multimasks: Tensor
    high_res_multimasks: Tensor
    predicted_ious: Tensor
    low_res_masks: Tensor
    high_res_masks: Tensor
    object_pointer: Tensor
    object_score_logits: Tensor
    memory: EncodedMemory | None = None
    candidate_tokens: Tensor | None = None

    def with_memory(self, memory: EncodedMemory | None) -> FrameOutput:
        """Return the same output with ``memory`` in place."""
        return replace(self, memory=memory)


@dataclass
class MemoryBank:
    """Outputs of earlier frames that later frames may attend to.

    Attributes
    ----------
    conditioning : dict of int to FrameOutput
        Frames with prompts, by frame index.
    recent : dict of int to FrameOutput
        Tracked frames, by frame index.
    """

    conditioning: dict[int, FrameOutput] = field(default_factory=dict)
    recent: dict[int, FrameOutput] = field(default_factory=dict)


@dataclass(frozen=True)
class MemoryTokens:
    """What a batch of objects reads, chosen and laid out: the other way to give memory to :meth:`SAM2Base.track_step`.

    Attributes
    ----------
    tokens : Tensor (B, M, C_mem)
        Mask memories one after another, in row-major order, then object pointers.
    encodings : Tensor (B or 1, M, C_mem)
        Spatial and temporal position encodings of the tokens.
    pointer_tokens : int
        How many of the last tokens belong to pointers, which have no place in the frame.
    """

    tokens: Tensor
    encodings: Tensor
    pointer_tokens: int
