"""Telling an image that is read as labels from labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels.label_stack import LabelStack

#: An image read as labels falls into about as many pieces as it has pixels; cells do not.
PIXELS_OF_A_PIECE = 4.0
#: Frames that are looked at.
LOOKED_AT = 4
#: Intensities fill a plane; specks on less of it than this may be labels of a pixel each, as of cells' centres.
LEAST_FILLED = 0.25
#: Planes of fewer pixels say too little.
LEAST_PIXELS = 32 * 32


def is_image(pixels: NDArray[Any]) -> bool:
    """Whether the values of a frame (y, x) fall into pieces too small for objects."""
    filled = pixels != 0
    same = np.zeros(pixels.shape, bool)
    same[:, 1:] |= pixels[:, 1:] == pixels[:, :-1]
    same[1:] |= pixels[1:] == pixels[:-1]
    # a pixel that equals neither its left nor its upper neighbour begins a piece, or lies at a corner of one
    pieces = int((filled & ~same).sum())
    return pieces > 0 and bool(filled.sum() < PIXELS_OF_A_PIECE * pieces)


def require_labels(labels: LabelStack, frames: Sequence[int]) -> None:
    """Refuse what evidently holds intensities rather than labels.

    Parameters
    ----------
    labels : LabelStack
    frames : sequence of int
        Of them, four that are spread evenly are read. One that holds labels, or nothing, is enough to go by.

    Raises
    ------
    InvalidInputError
        Each of these frames that is not empty is filled with values that fall into pieces of a pixel or two.
    """
    places = np.linspace(0, len(frames) - 1, min(LOOKED_AT, len(frames))).round()
    looked_at = [(frames[int(place)], labels.read(frames[int(place)])) for place in dict.fromkeys(places)]
    showing = [(index, pixels) for index, pixels in looked_at if pixels.any()]
    if not showing or not all(_is_filled(pixels) and is_image(pixels) for _, pixels in showing):
        return
    index, pixels = showing[0]
    raise InvalidInputError(
        f"{labels.name} looks like an image, not like labels: expected one whole number for each object and 0 "
        f"elsewhere, got {len(np.unique(pixels))} values on the {pixels.size} pixels of frame {index}, most of which "
        "differ from their neighbours. Name the file of the labels; or, if they are, convert them all the same with "
        "check=False (--as-labels on the command line)."
    )


def _is_filled(pixels: NDArray[Any]) -> bool:
    return pixels.size >= LEAST_PIXELS and int(np.count_nonzero(pixels)) >= LEAST_FILLED * pixels.size
