"""J and F of one mask, as DAVIS defines them (Perazzi et al. 2016) and the evaluator of SA-V computes them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: Distance that a border may be off, as a share of the frame's diagonal.
TOLERANCE = 0.008


def region_similarity(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """J: the IoU of two masks (y, x); 1 where both are empty."""
    both = int(np.count_nonzero(mask & truth))
    either = int(np.count_nonzero(mask)) + int(np.count_nonzero(truth)) - both
    return both / either if either else 1.0


def contour_accuracy(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """F: the harmonic mean of how much of each mask's border has the other's nearby.

    Parameters
    ----------
    mask, truth : ndarray (y, x) bool

    Returns
    -------
    float
        1 where both have no border. A mask that fills the frame has none either.
    """
    # most of a frame has nothing to do with the object; beside a margin of one pixel nothing can be border
    rows, columns = (np.flatnonzero((mask | truth).any(axis)) for axis in (1, 0))
    if not len(rows):
        return 1.0
    part = np.s_[max(rows[0] - 1, 0) : rows[-1] + 2, max(columns[0] - 1, 0) : columns[-1] + 2]
    found, wanted = Border.of(mask[part]), Border.of(truth[part])
    if not found.length or not wanted.length:
        return float(found.length == wanted.length)
    reach = math.ceil(TOLERANCE * float(np.linalg.norm(mask.shape)))
    precision = found.share_near(wanted, reach)
    recall = wanted.share_near(found, reach)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@dataclass(frozen=True)
class Border:
    """The border of a mask, half a pixel towards the origin.

    Attributes
    ----------
    pixels : ndarray (y, x) bool
    length : int
        Their number.
    """

    pixels: NDArray[np.bool_]
    length: int

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> Border:
        """Take the pixels of which the right, lower or lower right neighbour is not as they are; within the frame."""
        padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
        right, below, across = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
        pixels = (mask != right) | (mask != below) | (mask != across)
        return cls(pixels, int(np.count_nonzero(pixels)))

    def share_near(self, other: Border, reach: int) -> float:
        """The share of its pixels that are at most so many pixels away from the other border."""
        # near its own border alone: most of a frame is far away from both
        rows, columns = np.nonzero(self.pixels | other.pixels)
        part = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        far = ndimage.distance_transform_edt(~other.pixels[part])
        near = np.count_nonzero(far[self.pixels[part]] <= reach)
        return float(near / self.length)
