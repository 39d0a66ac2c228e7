"""The built-in fine-tuning recipes."""

from __future__ import annotations

from collections.abc import Iterable

from sam2_core.hooks import Recipe, hookimpl


@hookimpl
def sam2_recipes() -> Iterable[Recipe]:
    """List them."""
    # they bring torch
    from sam2_core.training.fine_tuning import recipes

    return [
        Recipe("decoder", "the mask decoder alone, from clicks: minutes on a CPU", train=recipes.train_decoder),
        Recipe(
            "memory",
            "memory and mask decoder, by following objects through labelled frames",
            train=recipes.train_memory,
            follows_objects=True,
        ),
        Recipe("lora", "low-rank adapters of the attention weights, merged at the end", train=recipes.train_lora),
        Recipe("all", "image encoder and mask decoder: many labels, much time", train=recipes.train_all),
    ]
