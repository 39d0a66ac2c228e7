"""What a brush covers that was drawn along a line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def brushed(points: Sequence[tuple[float, float]], radius: float, frame_size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels within `radius` of a line.

    Parameters
    ----------
    points : sequence of (float, float)
        (x, y) of the line's corners, pixel centres at whole numbers; at least one.
    radius : float
        Pixels.
    frame_size : (int, int)
        (height, width).

    Returns
    -------
    ndarray (y, x) bool
        At least the pixels under the corners that lie in the frame.
    """
    height, width = frame_size
    mask = np.zeros(frame_size, bool)
    corners = np.asarray(points, float)
    for first, last in zip(corners, corners[1:] if len(corners) > 1 else corners, strict=False):
        low, high = np.minimum(first, last) - radius, np.maximum(first, last) + radius
        x0, y0 = np.maximum(np.floor(low), 0).astype(int)
        x1, y1 = np.minimum(np.ceil(high) + 1, [width, height]).astype(int)
        if x0 >= x1 or y0 >= y1:
            continue
        rows, columns = np.mgrid[y0:y1, x0:x1]
        along = last - first
        length = float(along @ along)
        share = ((columns - first[0]) * along[0] + (rows - first[1]) * along[1]) / length if length else 0.0
        share = np.clip(share, 0.0, 1.0)
        distance = np.hypot(columns - first[0] - share * along[0], rows - first[1] - share * along[1])
        mask[y0:y1, x0:x1] |= distance <= radius
    touched = np.rint(corners).astype(int)
    inside = ((touched >= 0) & (touched < [width, height])).all(axis=1)
    mask[touched[inside, 1], touched[inside, 0]] = True
    return mask
