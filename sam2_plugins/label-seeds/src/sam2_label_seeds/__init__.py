"""Label images of other programs as prompts. A plugin of sam2-lab."""

from __future__ import annotations

from sam2_core.hooks import PromptType, hookimpl
from sam2_label_seeds.prompts import from_labels, from_peaks


@hookimpl
def sam2_prompt_types() -> list[PromptType]:
    """Add one for labels, and one for images whose bright spots mark the objects."""
    return [
        PromptType("label-seeds", "objects of a label image", gesture="none", to_prompts=from_labels),
        PromptType(
            "peak-seeds", "bright spots of an image, such as a probability map", gesture="none", to_prompts=from_peaks
        ),
    ]
