"""How deep a pixel lies in a mask, and which lies deepest: where a person would click."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError


def depth_in(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance in pixels of each pixel of a mask from its border; the edge of the array is a border too.

    Parameters
    ----------
    mask : ndarray, (y, x), bool

    Returns
    -------
    ndarray, (y, x), float64
        0 outside the mask.
    """
    # scipy need not be waited for by who only lists what needs it
    from scipy import ndimage

    return np.asarray(ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1])


def innermost(mask: NDArray[np.bool_], random: np.random.Generator | None = None) -> tuple[int, int]:
    """The pixel of a mask that lies deepest, or any, deeper ones more often.

    Parameters
    ----------
    mask : ndarray, (y, x), bool
    random : numpy Generator, optional
        Draws a pixel with a probability in proportion to its depth; without it the deepest is taken.

    Returns
    -------
    (int, int)
        (x, y).

    Raises
    ------
    InvalidInputError
        If the mask is empty.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        raise InvalidInputError("No pixel to click: the mask is empty.")
    top, left = int(rows[0]), int(columns[0])
    # only the part with the mask is measured: frames may be much larger than objects
    depth = depth_in(mask[top : rows[-1] + 1, left : columns[-1] + 1])
    if random is None:
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    else:
        weight = np.cumsum(depth.ravel())
        y, x = np.unravel_index(int(np.searchsorted(weight, random.random() * weight[-1])), depth.shape)
    return left + int(x), top + int(y)
