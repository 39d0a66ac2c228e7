"""Colours of object ids: the same id has the same colour in every format."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def label_colours(ids: ArrayLike) -> NDArray[np.uint8]:
    """Colours in the scheme of PASCAL VOC, which the DAVIS palettes use too.

    The bits of the id are dealt to red, green and blue in turn, the first to the highest bit of each, so that
    neighbouring ids differ strongly. 0 is black; distinct for ids below 2**24.

    Parameters
    ----------
    ids : array-like, (n,), integer

    Returns
    -------
    ndarray, (n, 3), uint8, RGB
    """
    rest = np.asarray(ids, dtype=np.int64).copy()
    colours = np.zeros((len(rest), 3), dtype=np.uint8)
    for bit in range(7, -1, -1):
        for channel in range(3):
            colours[:, channel] |= (((rest >> channel) & 1) << bit).astype(np.uint8)
        rest >>= 3
    return colours
