"""Geometry of what a person draws. Points are (x, y) in pixels, pixel centres at whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]
Mask = NDArray[np.bool_]
Box = tuple[float, float, float, float]


def inside_frame(points: Points, frame_size: tuple[int, int]) -> Points:
    """Drop the points that lie outside of a frame (height, width)."""
    height, width = frame_size
    return points[((points >= 0) & (points < [width, height])).all(axis=1)]


def box_around(points: Points, margin: float, frame_size: tuple[int, int]) -> Box | None:
    """The box (x0, y0, x1, y1) around points, wider by `margin` each way and cut to the frame; None if empty."""
    height, width = frame_size
    x0, y0 = (float(value) for value in points.min(axis=0) - margin)
    x1, y1 = (float(value) for value in points.max(axis=0) + margin)
    x0, y0, x1, y1 = max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def filled(corners: Points, frame_size: tuple[int, int]) -> Mask:
    """The pixels (y, x) whose centres a polygon holds; it may cross itself and reach out of the frame."""
    from skimage.draw import polygon

    mask = np.zeros(frame_size, bool)
    draw: Any = polygon  # untyped
    rows, columns = draw(corners[:, 1], corners[:, 0], shape=frame_size)
    mask[rows, columns] = True
    return mask


def along(path: Points, spacing: float, most: int) -> Points:
    """Points at equal distances along a line, its two ends among them.

    Parameters
    ----------
    path : ndarray (n, 2)
    spacing : float
        The distance wanted, pixels.
    most : int
        Rather farther apart than more points than this; 1 gives the middle.
    """
    steps = np.hypot(*np.diff(path, axis=0).T)
    walked = np.concatenate([[0.0], np.cumsum(steps)])
    count = min(most, round(float(walked[-1]) / spacing) + 1)
    at = np.linspace(0.0, walked[-1], count) if count > 1 else walked[-1:] / 2
    return np.stack([np.interp(at, walked, path[:, axis]) for axis in (0, 1)], axis=1).astype(np.float32)
