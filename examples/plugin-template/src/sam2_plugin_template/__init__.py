"""A plugin of sam2-lab: what it adds, and nothing else, so that it is quick to load."""

from __future__ import annotations

from sam2_core.hooks import CliCommand, MaskFilter, PromptType, hookimpl
from sam2_plugin_template.count_objects import count_objects
from sam2_plugin_template.masks import convex, ellipse


@hookimpl
def sam2_prompt_types() -> list[PromptType]:
    """Add a way of saying which object is meant."""
    return [PromptType("ellipse", "the ellipse in a box, as a mask", gesture="box", to_prompts=ellipse)]


@hookimpl
def sam2_mask_filters() -> list[MaskFilter]:
    """Add what can be done to masks before they become labels."""
    return [MaskFilter("convex", "fills the dents of an outline", apply=convex)]


@hookimpl
def sam2_cli_commands() -> list[CliCommand]:
    """Add a command under ``sam2``."""
    return [CliCommand("count-objects", "counts the objects of a label image", function=count_objects)]
