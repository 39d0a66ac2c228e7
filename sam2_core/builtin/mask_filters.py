"""The built-in mask filters."""

from __future__ import annotations

from collections.abc import Iterable

from sam2_core.hooks import MaskFilter, hookimpl


@hookimpl
def sam2_mask_filters() -> Iterable[MaskFilter]:
    """List them in the order in which front-ends show them."""
    # they bring numpy
    from sam2_core.builtin import mask_cleaning as cleaning

    return [
        MaskFilter("fill-holes", "fills holes within an object", apply=cleaning.fill_holes),
        MaskFilter("remove-islands", "removes small parts, but the largest", apply=cleaning.remove_islands),
        MaskFilter("largest-part", "keeps an object's largest part", apply=cleaning.largest_part),
        MaskFilter("remove-small", "removes objects that are small as a whole", apply=cleaning.remove_small),
        MaskFilter("smooth", "smooths the outline", apply=cleaning.smooth),
    ]
