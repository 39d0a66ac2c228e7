"""The built-in prompt types."""

from __future__ import annotations

from collections.abc import Iterable

from sam2_core.hooks import PromptType, hookimpl


@hookimpl
def sam2_prompt_types() -> Iterable[PromptType]:
    """List them in the order in which front-ends show them."""
    # numpy can wait until somebody wants a prompt
    from sam2_core.builtin import drawn_prompts as drawn

    return [
        PromptType("point", "a click on the object, or beside it", gesture="point", to_prompts=drawn.point, key="p"),
        PromptType("box", "a box around the object", gesture="box", to_prompts=drawn.box, key="b"),
        PromptType("scribble", "a line drawn on the object, or beside it", gesture="path", to_prompts=drawn.scribble),
        PromptType("mask", "the object painted with a brush", gesture="brush", to_prompts=drawn.mask, key="m"),
        PromptType("polygon", "the object's outline, corner by corner", gesture="polygon", to_prompts=drawn.polygon),
        PromptType("lasso", "a loop drawn loosely around the object", gesture="path", to_prompts=drawn.lasso, key="l"),
    ]
