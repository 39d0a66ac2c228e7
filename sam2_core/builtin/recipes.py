"""The built-in fine-tuning recipes."""

from __future__ import annotations

from collections.abc import Iterable

from sam2_core.hooks import Recipe, hookimpl


@hookimpl
def sam2_recipes() -> Iterable[Recipe]:
    """List them."""
    # it brings torch
    from sam2_core.training.decoder_recipe import train_decoder

    return [Recipe("decoder", "the mask decoder alone, from clicks: minutes on a CPU", train=train_decoder)]
