"""Where a frame looks like an example in it: image features compared with those of the example, and the peaks of that.

Features are maps (channels, rows, columns) over the whole frame, whatever its sides.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Map = NDArray[np.float32]


def similarity(features: Map, share: Map) -> Map:
    """Cosine similarity of each cell's features with those of an example, -1 to 1.

    Every channel is centred and scaled over the frame first, so that what all of the frame has in common counts for
    nothing.

    Parameters
    ----------
    features : ndarray (channel, row, column)
    share : ndarray (row, column)
        The share of each cell that the example covers; not all 0.
    """
    mean = features.mean(axis=(1, 2), keepdims=True)
    spread = features.std(axis=(1, 2), keepdims=True)
    told_apart = (features - mean) / np.maximum(spread, 1e-6)
    directions = told_apart / np.maximum(np.linalg.norm(told_apart, axis=0), 1e-6)
    example = np.tensordot(directions, share, axes=([1, 2], [0, 1]))
    found: Map = np.tensordot(example / max(float(np.linalg.norm(example)), 1e-6), directions, axes=1)
    return found


def covered(mask: NDArray[np.bool_], grid: tuple[int, int]) -> Map:
    """The share of each cell of a grid (rows, columns) that a mask (y, x) covers."""
    sides = []
    for size, cells in zip(mask.shape, grid, strict=True):
        # the part of each pixel that lies in each cell: cells need not hold whole pixels
        edges = np.linspace(0, size, cells + 1)
        pixels = np.arange(size)
        part = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
        sides.append(np.clip(part, 0, 1) / (size / cells))
    rows, columns = sides
    share: Map = (rows @ mask.astype(np.float32) @ columns.T).astype(np.float32)
    return share


def peaks(similar: Map, share: Map, least: float, distance: float) -> list[tuple[int, int]]:
    """Cells (row, column) that look most like the example among their neighbours, the most alike first.

    Parameters
    ----------
    similar : ndarray (row, column)
        From :func:`similarity`.
    share : ndarray (row, column)
        See :func:`similarity`; says how large the example is.
    least : float
        How much they look like it, as a part of how much the example does itself.
    distance : float
        Between two peaks, as a part of the example's diameter.
    """
    radius = float(np.sqrt(share.sum() / np.pi))
    smooth = ndimage.gaussian_filter(similar, radius / 4, mode="nearest")
    example = float(smooth[share >= min(0.5, float(share.max()))].max())
    reach = max(1, round(2 * radius * distance))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    highest = ndimage.maximum_filter(smooth, footprint=x**2 + y**2 <= reach**2, mode="nearest")
    rows, columns = np.nonzero((smooth == highest) & (smooth >= least * example) & (smooth > 0))
    order = np.argsort(-smooth[rows, columns], kind="stable")
    return [(int(rows[index]), int(columns[index])) for index in order]
