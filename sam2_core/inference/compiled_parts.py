"""Parts of the network whose forward is compiled, under the state-dict keys they had."""

from __future__ import annotations

import torch
from torch import Tensor

from sam2_core.model.prompt_encoder import PromptEncoder
from sam2_core.model.results import PointPrompts


def compile_forward(part: torch.nn.Module) -> None:
    """Compile a part's forward in place, without graph breaks."""
    # The function, not the module: state-dict keys stay as they are. No CUDA graphs, whose next run would overwrite
    # memories that are still needed; shapes become dynamic once they vary (objects, points, memories).
    part.forward = torch.compile(part.forward, mode="max-autotune-no-cudagraphs", fullgraph=True)


def take_any_number_of_points(encoder: PromptEncoder) -> None:
    """Have a compiled prompt encoder serve a first click and all further ones from one graph."""
    compiled = encoder.forward

    def forward(
        points: tuple[Tensor, Tensor] | None, boxes: Tensor | None, masks: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        if points is not None:
            PointPrompts(*points).of_any_number()
        return compiled(points, boxes, masks)

    encoder.forward = forward  # type: ignore[method-assign]
