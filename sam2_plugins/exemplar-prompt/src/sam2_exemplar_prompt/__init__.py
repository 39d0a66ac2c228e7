"""Find more like this: an example of an object prompts all that look alike. A plugin of sam2-lab."""

from __future__ import annotations

from sam2_core.hooks import PromptType, hookimpl
from sam2_exemplar_prompt.prompts import like_the_box, like_the_object, like_the_painted


@hookimpl
def sam2_prompt_types() -> list[PromptType]:
    """Add one for each way of showing the example."""
    return [
        PromptType(
            "more-like-this", "finds what looks like the current object", gesture="none", to_prompts=like_the_object
        ),
        PromptType("more-like-box", "finds what looks like what is in a box", gesture="box", to_prompts=like_the_box),
        PromptType(
            "more-like-painted", "finds what looks like what is painted", gesture="brush", to_prompts=like_the_painted
        ),
    ]
