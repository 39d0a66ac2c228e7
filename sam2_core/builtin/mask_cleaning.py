"""What the built-in mask filters do; parts and holes are connected through corners too, as everywhere here."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Area = Annotated[int, {"min": 0, "max": 1_000_000_000}]


def fill_holes(mask: Mask, *, max_area: Annotated[int | None, {"min": 0}] = None) -> Mask:
    """Fill what an object encloses.

    Parameters
    ----------
    mask : ndarray (y, x) bool
    max_area : int, optional
        Only holes of at most so many pixels; all by default.
    """
    labels, areas = _components(~mask)
    edges = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    enclosed = (labels > 0) & ~np.isin(labels, edges)
    if max_area is not None:
        enclosed &= areas <= max_area
    return mask | enclosed


def remove_islands(mask: Mask, *, max_area: Area = 20) -> Mask:
    """Remove an object's small parts; where all are small, its largest stays.

    Parameters
    ----------
    mask : ndarray (y, x) bool
    max_area : int
        Parts of at most so many pixels are removed.
    """
    return _without_islands(mask, max_area + 1)


def largest_part(mask: Mask) -> Mask:
    """Keep an object's largest part; of equals the one met first, row by row.

    Parameters
    ----------
    mask : ndarray (y, x) bool
    """
    return _without_islands(mask, np.inf)


def remove_small(mask: Mask, *, min_area: Area = 20) -> Mask:
    """Remove an object that is small as a whole.

    Parameters
    ----------
    mask : ndarray (y, x) bool
    min_area : int
        An object of fewer pixels is removed.
    """
    return mask if np.count_nonzero(mask) >= min_area else np.zeros_like(mask)


def smooth(mask: Mask, *, radius: Annotated[float, {"min": 0.1, "max": 8.0}] = 2.0) -> Mask:
    """Smooth an object's outline.

    Parameters
    ----------
    mask : ndarray (y, x) bool
    radius : float
        Standard deviation in pixels of the Gaussian with which the mask is blurred before it is thresholded at a half.
    """
    from scipy.ndimage import gaussian_filter

    # a frame's edge does not end an object
    blurred: NDArray[np.float32] = gaussian_filter(mask.astype(np.float32), radius, mode="nearest")
    return blurred > 0.5


def _without_islands(mask: Mask, least: float) -> Mask:
    # torch is only loaded to filter, not to list filters or to make forms of their options
    from sam2_core.kernels import remove_small_regions

    return remove_small_regions(mask, least, "islands")[0]


def _components(regions: Mask) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    from sam2_core.kernels import mask_components

    return mask_components(regions)
