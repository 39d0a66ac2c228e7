"""Masks of drawn ellipses, and masks without dents. Keyword-only parameters are the options that people see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from sam2_core import InvalidInputError
from sam2_core.hooks import Drawn, ObjectPrompt, PromptContext


def ellipse(
    drawn: Drawn, context: PromptContext, *, size: Annotated[float, {"min": 0.1, "max": 2.0}] = 1.0
) -> Iterable[ObjectPrompt]:
    """Tell the model of the ellipse in a box, `size` times as large as the box."""
    if not drawn.positive:
        raise InvalidInputError("An ellipse says where the object is; mark what is not part of it with a click.")
    assert drawn.points is not None  # a box has two
    height, width = context.frame_size
    middle = drawn.points.mean(axis=0)
    across, down = np.maximum(np.abs(np.diff(drawn.points, axis=0))[0] / 2 * size, 0.5)
    y, x = np.mgrid[:height, :width]
    mask = ((x - middle[0]) / across) ** 2 + ((y - middle[1]) / down) ** 2 <= 1
    return [ObjectPrompt(mask=mask)] if mask.any() else []


def convex(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the smallest mask without dents that holds all of `mask`."""
    from skimage.morphology import convex_hull_image

    hull: NDArray[np.bool_] = convex_hull_image(mask)
    return hull if mask.any() else mask
