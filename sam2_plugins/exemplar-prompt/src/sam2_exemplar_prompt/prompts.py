"""The prompt types: an example, drawn or known, becomes a click on everything that looks like it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sam2_core import InvalidInputError
from sam2_core.hooks import Drawn, ObjectPrompt, PromptContext
from sam2_exemplar_prompt.similarity import covered, peaks, similarity

Mask: TypeAlias = NDArray[np.bool_]
Alike: TypeAlias = Annotated[float, {"min": 0.05, "max": 1.0}]
Apart: TypeAlias = Annotated[float, {"min": 0.1, "max": 5.0}]
Most: TypeAlias = Annotated[int, {"min": 1, "max": 10_000}]
Detail: TypeAlias = Literal["fine", "middle", "coarse"]


def like_the_object(
    drawn: Drawn,
    context: PromptContext,
    *,
    alike: Alike = 0.6,
    apart: Apart = 0.35,
    most: Most = 500,
    detail: Detail = "fine",
) -> Iterable[ObjectPrompt]:
    """Click on what looks like the current object.

    Parameters
    ----------
    drawn : Drawn
        Says on which frame.
    context : PromptContext
    alike : float
        How much they must look like the example, as a part of how much the example does itself.
    apart : float
        How far they must lie apart, as a part of the example's diameter.
    most : int
        At most so many, the most alike first.
    detail : {"fine", "middle", "coarse"}
        Which of the model's image features to compare.

    Raises
    ------
    InvalidInputError
        There is no current object, or it has no mask on this frame.
    """
    example = context.mask()
    if example is None:
        raise InvalidInputError("Select an object that has a mask on this frame: the others are found by its looks.")
    return _clicks(example, context, alike, apart, most, detail)


def like_the_box(
    drawn: Drawn,
    context: PromptContext,
    *,
    alike: Alike = 0.6,
    apart: Apart = 0.35,
    most: Most = 500,
    detail: Detail = "fine",
) -> Iterable[ObjectPrompt]:
    """Click on what looks like the object in a box, that object too; options as for :func:`like_the_object`."""
    assert drawn.points is not None  # a box has two
    height, width = context.frame_size
    left, top = drawn.points.min(axis=0)
    right, bottom = drawn.points.max(axis=0)
    y, x = np.mgrid[:height, :width]
    # an object fills its box as an ellipse does, more than to its corners
    across, down = max((right - left) / 2, 0.5), max((bottom - top) / 2, 0.5)
    example = ((x - (left + right) / 2) / across) ** 2 + ((y - (top + bottom) / 2) / down) ** 2 <= 1
    return _clicks(example, context, alike, apart, most, detail)


def like_the_painted(
    drawn: Drawn,
    context: PromptContext,
    *,
    alike: Alike = 0.6,
    apart: Apart = 0.35,
    most: Most = 500,
    detail: Detail = "fine",
) -> Iterable[ObjectPrompt]:
    """Click on what looks like what is painted, that object too; options as for :func:`like_the_object`."""
    assert drawn.mask is not None  # a brush has one
    return _clicks(drawn.mask, context, alike, apart, most, detail)


def _clicks(
    example: Mask, context: PromptContext, alike: float, apart: float, most: int, detail: Detail
) -> list[ObjectPrompt]:
    """One click on each place that looks like the example, but on objects that are known already."""
    maps = context.features().maps
    level = {"fine": 0, "middle": len(maps) // 2, "coarse": -1}[detail]
    features = maps[level][0].detach().float().cpu().numpy()
    share = covered(example, (features.shape[1], features.shape[2]))
    if not share.any():
        raise InvalidInputError("The example lies outside of the frame.")
    labels = context.labels()
    height, width = context.frame_size
    prompts: list[ObjectPrompt] = []
    for row, column in peaks(similarity(features, share), share, alike, apart):
        x, y = (column + 0.5) * width / features.shape[2], (row + 0.5) * height / features.shape[1]
        if not labels[int(y), int(x)]:
            prompts.append(ObjectPrompt(points=[(x, y)], labels=[1], object_id="new"))
    return prompts[:most]
