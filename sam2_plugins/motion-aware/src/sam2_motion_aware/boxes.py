"""Bounding boxes of masks, and where a moving box will be next (Kalman 1960, constant velocity)."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import ndimage

#: (centre x, centre y, width, height) in pixels of the mask.
Box: TypeAlias = npt.NDArray[np.float64]

#: Deviations, from one frame to the next, as shares of the size: of where a box is and how large, of how fast it moves
#: (cells go half their width in any direction at first, for all that is known), and of how fast it grows.
_PLACE, _FIRST_SPEED, _SPEED, _GROWTH = 1 / 20, 1 / 2, 1 / 20, 1 / 160


def box_of(mask: npt.NDArray[np.bool_]) -> Box | None:
    """Return the box around the largest piece of a mask (y, x); None if it is empty.

    A speck elsewhere, which masks of small objects often have, would make the box of the whole useless.
    """
    pieces, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if not count:
        return None
    rows, columns = ndimage.find_objects(pieces)[np.bincount(pieces.ravel())[1:].argmax()]
    size = columns.stop - columns.start, rows.stop - rows.start
    return np.array([columns.start + size[0] / 2, rows.start + size[1] / 2, *size], dtype=np.float64)


def box_iou(first: Box, second: Box) -> float:
    """Return the area two boxes share, as a share of what they cover together."""
    low = np.maximum(first[:2] - first[2:] / 2, second[:2] - second[2:] / 2)
    high = np.minimum(first[:2] + first[2:] / 2, second[:2] + second[2:] / 2)
    shared = float(np.prod(np.maximum(high - low, 0)))
    covered = float(np.prod(first[2:]) + np.prod(second[2:])) - shared
    return shared / covered if covered > 0 else 0.0


class BoxFilter:
    """Follows a box that moves and grows at a steady pace.

    Parameters
    ----------
    box : Box
        Where it begins, at rest.
    """

    def __init__(self, box: Box) -> None:
        self._mean = np.concatenate([box, np.zeros(4)])
        self._covariance = self._deviations(_PLACE, _FIRST_SPEED)

    @property
    def box(self) -> Box:
        """Where it is thought to be; of one pixel at least."""
        return np.concatenate([self._mean[:2], np.maximum(self._mean[2:4], 1)])

    def predict(self) -> Box:
        """Go on by one frame, and return where the box should be."""
        step = np.eye(8)
        step[:4, 4:] = np.eye(4)
        noise = self._deviations(_PLACE, _SPEED)
        self._mean = step @ self._mean
        self._covariance = step @ self._covariance @ step.T + noise
        return self.box

    def correct(self, box: Box) -> None:
        """Take into account where the box was found."""
        noise = self._deviations(_PLACE, _SPEED)[:4, :4]
        gain = np.linalg.solve(self._covariance[:4, :4] + noise, self._covariance[:4]).T
        self._mean = self._mean + gain @ (box - self._mean[:4])
        self._covariance = self._covariance - gain @ self._covariance[:4]

    def _deviations(self, place: float, speed: float) -> npt.NDArray[np.float64]:
        """(8, 8) covariance of box and velocity: independent, in proportion to the size."""
        width, height = np.maximum(self._mean[2:4], 1)
        shares = np.repeat([place, speed, _GROWTH], [4, 2, 2])
        return np.diag((shares * np.tile([width, height], 4)) ** 2)
