"""From what a person drew to what the model is told, through the prompt type of that name."""

from __future__ import annotations

from typing import Any

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.hooks.manager import Plugins
from sam2_core.hooks.process import get_plugins
from sam2_core.hooks.prompt_type import Drawn, ObjectPrompt, PromptContext, PromptType


def prompts_of(
    prompt_type: str, drawn: Drawn, context: PromptContext, *, plugins: Plugins | None = None, **options: Any
) -> list[ObjectPrompt]:
    """Ask a prompt type what the model is to be told.

    Parameters
    ----------
    prompt_type : str
        Name of a registered one.
    drawn : Drawn
        What a person drew.
    context : PromptContext
        Where it was drawn.
    plugins : Plugins, optional
        The process's by default.
    **options
        Those of the prompt type.

    Returns
    -------
    list of ObjectPrompt
        Each checked; empty where there is nothing to tell.

    Raises
    ------
    PluginError
        There is no such prompt type, it failed, or what it returned are no prompts.
    InvalidInputError, InvalidTypeError
        The drawing belongs to another gesture, or an option cannot be used.
    """
    known = get_plugins() if plugins is None else plugins
    registered = known.find(PromptType, prompt_type)
    chosen = registered.contribution
    drawn.check()
    if drawn.gesture != chosen.gesture:
        raise InvalidInputError(
            f"The prompt type {prompt_type!r} is drawn with the gesture {chosen.gesture}; got {drawn.gesture}."
        )
    if drawn.mask is not None and drawn.mask.shape != tuple(context.frame_size):
        raise InvalidInputError(
            f"What is painted must have the frame's size {tuple(context.frame_size)}; got {drawn.mask.shape}."
        )

    def check(prompt: ObjectPrompt) -> None:
        if not isinstance(prompt, ObjectPrompt):
            raise InvalidTypeError(f"to_prompts must return ObjectPrompts; an item of it is {prompt!r:.200}")
        prompt.check(context.frame_count, context.frame_size)

    return known.collect(registered, chosen.to_prompts, drawn, context, check=check, **options)
