"""Outlines along the edges of pixels, exact both ways: mask to closed paths and back."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def mask_outlines(mask: NDArray[np.bool_]) -> list[NDArray[np.int32]]:
    """Trace the edge of a mask.

    Every corner of a rectilinear outline joins one horizontal and one vertical edge. Sorted by row, corners pair up to
    the horizontal edges, sorted by column to the vertical ones; following them in turn closes the paths. A corner
    where two pixels touch diagonally is there twice.

    Parameters
    ----------
    mask : ndarray, (y, x), bool

    Returns
    -------
    list of ndarray, (corner, 2), int32
        Closed paths as (x, y) of pixel corners (pixel 0 spans 0 to 1), the last corner joined to the first. The mask
        lies on the same side all along (outer paths run against the clock on a screen, holes with it), so that both
        the even-odd and the non-zero rule fill it.
    """
    padded = np.pad(mask, 1)
    quads = np.stack([padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]]).astype(np.int8)
    count = quads.sum(axis=0)
    is_diagonal = (count == 2) & (quads[0] == quads[3])
    ys, xs = np.nonzero((count % 2 == 1) | is_diagonal)
    times = 1 + is_diagonal[ys, xs]
    ys, xs = np.repeat(ys, times), np.repeat(xs, times)
    # lists: following them one by one is much faster than in arrays
    along_row = _partners(np.lexsort((xs, ys))).tolist()
    along_column = _partners(np.lexsort((ys, xs))).tolist()
    is_free = [True] * len(xs)
    paths = []
    for first in range(len(xs)):
        corner = first
        path: list[int] = []
        while is_free[corner]:
            other = along_row[corner]
            path += (corner, other)
            is_free[corner] = is_free[other] = False
            corner = along_column[other]
        if not path:
            continue
        # the mask lies to the left of the way: above an edge that runs right
        left = min(path[0], path[1], key=lambda place: xs[place])
        runs_right = path[0] == left
        mask_is_above = bool(padded[ys[left], xs[left] + 1])
        if runs_right != mask_is_above:
            path.reverse()
        paths.append(np.stack([xs[path], ys[path]], axis=1).astype(np.int32))
    return paths


def _partners(order: NDArray[np.intp]) -> NDArray[np.intp]:
    partner = np.empty_like(order)
    partner[order[::2]], partner[order[1::2]] = order[1::2], order[::2]
    return partner


def filled_outlines(paths: Iterable[NDArray[np.integer]], frame_size: tuple[int, int]) -> NDArray[np.bool_]:
    """Fill closed rectilinear paths by the even-odd rule.

    Parameters
    ----------
    paths : iterable of ndarray, (corner, 2), integer
        (x, y) of pixel corners, each differing from the one before in x or in y only.
    frame_size : tuple of int
        (height, width); what lies outside is cut off.

    Returns
    -------
    ndarray, (y, x), bool
    """
    height, width = frame_size
    crossings = np.zeros((height, width + 1), dtype=np.bool_)
    for path in paths:
        following = np.roll(path, -1, axis=0)
        vertical = (path[:, 0] == following[:, 0]) & (path[:, 1] != following[:, 1])
        for (x, y), (_, y_next) in zip(path[vertical].tolist(), following[vertical].tolist(), strict=True):
            top, bottom = max(0, min(y, y_next)), min(height, max(y, y_next))
            crossings[top:bottom, min(max(x, 0), width)] ^= True
    return np.logical_xor.accumulate(crossings, axis=1)[:, :width]


def is_rectilinear(path: NDArray[np.floating]) -> bool:
    """Whether a closed path runs along pixel edges only."""
    steps = np.roll(path, -1, axis=0) - path
    return bool(np.array_equal(path, np.round(path)) and np.all((steps[:, 0] == 0) | (steps[:, 1] == 0)))
