"""Outlines along the edges of pixels, exact both ways: mask to closed paths and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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


def filled_outlines(paths: Sequence[NDArray[Any]], frame_size: tuple[int, int]) -> NDArray[np.bool_]:
    """Fill closed rectilinear paths by the even-odd rule.

    Parameters
    ----------
    paths : sequence of ndarray, (corner, 2), each of at least one corner
        (x, y) of pixel corners, whole numbers, each differing from the one before in x or in y only.
    frame_size : tuple of int
        (height, width); what lies outside is cut off.

    Returns
    -------
    ndarray, (y, x), bool
    """
    height, width = frame_size
    (x, y), (x_next, y_next) = (corners.T for corners in _edges(paths))
    is_vertical = x == x_next
    columns = np.clip(x[is_vertical], 0, width).astype(np.intp)
    ends = np.zeros((height + 1, width + 1), dtype=np.bool_)
    for rows in (y[is_vertical], y_next[is_vertical]):
        np.logical_xor.at(ends, (np.clip(rows, 0, height).astype(np.intp), columns), True)
    # between its ends an edge is crossed; right of an odd number of crossings lies the inside
    crossings = np.logical_xor.accumulate(ends, axis=0)
    return np.logical_xor.accumulate(crossings, axis=1)[:height, :width]


def are_rectilinear(paths: Sequence[NDArray[np.floating]]) -> bool:
    """Whether closed paths run along pixel edges only."""
    corners, following = _edges(paths)
    steps = following - corners
    return bool(np.array_equal(corners, np.round(corners)) and np.all((steps[:, 0] == 0) | (steps[:, 1] == 0)))


def _edges(paths: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The corners of all closed paths, (corner, 2), and of each the one that follows on its path."""
    if not paths:
        return np.zeros((0, 2)), np.zeros((0, 2))
    corners = np.concatenate(paths)
    ends = np.cumsum([len(path) for path in paths])
    following = np.arange(1, len(corners) + 1)
    following[ends - 1] = np.concatenate([[0], ends[:-1]])
    return corners, corners[following]
