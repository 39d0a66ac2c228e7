"""Inputs for single modules of the network, the same on both sides of a parity run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tests.parity import inputs


@dataclass(frozen=True)
class MemoryTokens:
    """What memory attention reads.

    `current` and `current_position` are (B, 256, h, w), `tokens` and `token_positions` (B, N, 64) with the pointer
    tokens last; `pointer_tokens` says how many those are.
    """

    current: Tensor
    current_position: Tensor
    tokens: Tensor
    token_positions: Tensor
    pointer_tokens: int


class ComponentInputs:
    """Given inputs for a network of one image size and width 256 (memory 64)."""

    def __init__(self, image_size: int) -> None:
        self.image_size = image_size
        self.side = image_size // 16
        self.images = inputs.model_images(image_size)
        self.pixel_features = inputs.noise(40, 2, 256, self.side, self.side)
        # Mask values between -10 and 10, as the scaled sigmoid gives.
        self.mask_values = 20 * torch.sigmoid(self._smooth(41, 2, image_size) * 4) - 10

    def _smooth(self, seed: int, batch: int, size: int) -> Tensor:
        """(B, 1, size, size): noise with structures of about a sixteenth of the picture."""
        coarse = inputs.noise(seed, batch, 1, 16, 16)
        return torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear", align_corners=False)

    def prompts(self) -> dict[str, dict[str, Any]]:
        """Keyword arguments of the prompt encoder, by name."""
        size = self.image_size
        points = torch.rand(2, 5, 2, generator=torch.Generator().manual_seed(50)) * size
        labels = torch.tensor([[1, 0, 1, -1, -1], [2, 3, 1, 0, -1]], dtype=torch.int32)
        boxes = torch.tensor([[0.1, 0.2, 0.5, 0.7], [0.3, 0.0, 1.0, 0.4]]) * size
        masks = self._smooth(51, 2, 4 * self.side) * 10
        return {
            "points": {"points": (points, labels), "boxes": None, "masks": None},
            "boxes": {"points": None, "boxes": boxes, "masks": None},
            "points_and_boxes": {"points": (points, labels), "boxes": boxes, "masks": None},
            "masks": {"points": None, "boxes": None, "masks": masks},
            "all": {"points": (points, labels), "boxes": boxes, "masks": masks},
            "nothing": {"points": None, "boxes": None, "masks": None},
        }

    def decoder_calls(self) -> dict[str, dict[str, Any]]:
        """Keyword arguments of the mask decoder but `image_pe`, by name."""
        side = self.side
        embeddings = inputs.noise(60, 2, 256, side, side)
        fine = (inputs.noise(61, 2, 32, 4 * side, 4 * side), inputs.noise(62, 2, 64, 2 * side, 2 * side))
        sparse = inputs.noise(63, 2, 3, 256)
        dense = inputs.noise(64, 2, 256, side, side)
        batched = {
            "image_embeddings": embeddings,
            "sparse_prompt_embeddings": sparse,
            "dense_prompt_embeddings": dense,
            "repeat_image": False,
            "high_res_features": fine,
        }
        repeated = {
            "image_embeddings": embeddings[:1],
            "sparse_prompt_embeddings": inputs.noise(65, 3, 2, 256),
            "dense_prompt_embeddings": dense[:1].expand(3, -1, -1, -1),
            "repeat_image": True,
            "high_res_features": tuple(level[:1] for level in fine),
        }
        return {
            "three_masks": batched | {"multimask_output": True},
            "one_mask": batched | {"multimask_output": False},
            "repeated_three_masks": repeated | {"multimask_output": True},
            "repeated_one_mask": repeated | {"multimask_output": False},
            "no_points": batched | {"sparse_prompt_embeddings": sparse[:, :0], "multimask_output": True},
        }

    def memories(self) -> dict[str, MemoryTokens]:
        """Inputs of memory attention: frames alone, frames and pointers."""
        side = self.side
        count = 2 * side * side
        current = inputs.noise(70, 2, 256, side, side)
        position = inputs.noise(71, 2, 256, side, side)
        tokens = inputs.noise(72, 2, count + 12, 64)
        positions = inputs.noise(73, 2, count + 12, 64)
        return {
            "frames": MemoryTokens(current, position, tokens[:, :count], positions[:, :count], 0),
            "frames_and_pointers": MemoryTokens(current, position, tokens, positions, 12),
        }
