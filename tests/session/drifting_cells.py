"""Drawn cells that drift through a volume over time, of which every voxel is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


@dataclass(frozen=True)
class Drawn:
    """Images (t, z, y, x) uint8, and labels of the same shape."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def drifting_cells(
    *,
    times: int = 5,
    depth: int = 16,
    side: int = 128,
    count: int = 6,
    noise: float = 6.0,
    drift: float = 3.0,
    seed: int = 0,
) -> Drawn:
    """Ellipsoids that drift along x, y and z, become larger and smaller, and do not touch.

    Parameters
    ----------
    times, depth, side, count : int
    noise : float
        Standard deviation, in grey values.
    drift : float
        Pixels a time.
    seed : int
    """
    random = np.random.default_rng(seed)
    radii = random.uniform(0.07, 0.11, (count, 2)) * side
    heights = random.uniform(0.2, 0.28, count) * depth
    centres = np.zeros((count, 3))
    for number in range(count):
        while True:
            centre = np.array([random.uniform(0.4, 0.6) * depth, *random.uniform(0.18, 0.82, 2) * side])
            apart = np.linalg.norm(centres[:number, 1:] - centre[1:], axis=1)
            if not number or apart.min() > 0.23 * side:
                break
        centres[number] = centre
    angles = random.uniform(0, 2 * np.pi, count)
    velocities = np.stack(
        [random.choice([-1.0, 1.0], count) * depth / 24, drift * np.sin(angles), drift * np.cos(angles)], 1
    )
    z, y, x = np.mgrid[:depth, :side, :side].astype(np.float32)
    images = np.zeros((times, depth, side, side), np.uint8)
    labels = np.zeros_like(images)
    for time in range(times):
        grey = np.full((depth, side, side), 30.0, np.float32)
        for number in range(count):
            growth = 1 + 0.12 * np.sin(time + number)
            cz, cy, cx = centres[number] + velocities[number] * time
            ry, rx = radii[number] * growth
            inside = ((z - cz) / heights[number]) ** 2 + ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1
            labels[time][inside] = number + 1
            grey[inside] = 110 + 15 * number % 60
        texture = ndimage.gaussian_filter(random.normal(0, 1, grey.shape), (1, 3, 3))
        grey = ndimage.gaussian_filter(grey, (0.6, 1.2, 1.2)) + 40 * texture * (grey > 40)
        images[time] = np.clip(grey + random.normal(0, noise, grey.shape), 0, 255)
    return Drawn(images, labels)
