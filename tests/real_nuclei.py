"""Real fluorescence nuclei that lie beside the repository, cut into tiles with one click on each nucleus."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from sam2_core.volumes.frames import open_frames

TILE = 256
# Slivers that the cut between two tiles leaves of a nucleus are not something to click on.
SMALLEST_AREA = 20


@dataclass(frozen=True)
class NucleiTile:
    """One tile.

    `picture` is (y, x, RGB) uint8, contrast from the 1st and 99.8th percentile; `truth` is (N, y, x) bool, one mask a
    nucleus; `clicks` is (N, 2) in (x, y) pixels, the point of each nucleus farthest from its border.
    """

    picture: np.ndarray
    truth: np.ndarray
    clicks: np.ndarray


def nuclei_tiles(repository: Path) -> list[NucleiTile]:
    """The four tiles of `nuclei_2d`; skips the test where the samples are not there."""
    folder = repository.parent / "shared" / "data" / "nuclei_2d"
    if not folder.is_dir():
        pytest.skip("needs the microscopy samples in ../shared/data, which are no part of the repository")
    image, labels = tifffile.imread(folder / "image.tif"), tifffile.imread(folder / "labels.tif")
    tiles = []
    for top in range(0, image.shape[0], TILE):
        for left in range(0, image.shape[1], TILE):
            cut = (slice(top, top + TILE), slice(left, left + TILE))
            numbers, areas = np.unique(labels[cut], return_counts=True)
            chosen = [n for n, area in zip(numbers, areas, strict=True) if n and area >= SMALLEST_AREA]
            truth = np.stack([labels[cut] == number for number in chosen])
            picture = open_frames(image[cut][None]).read(0)
            tiles.append(NucleiTile(picture, truth, np.stack([_centre(mask) for mask in truth])))
    return tiles


def iou(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two masks; 1 where both are empty."""
    union = np.logical_or(first, second).sum()
    return float(np.logical_and(first, second).sum() / union) if union else 1.0


def _centre(mask: np.ndarray) -> np.ndarray:
    """(x, y) of the pixel farthest from the border of a mask; a nucleus at the edge of a tile goes on beyond it."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1, mode="edge"))[1:-1, 1:-1]
    y, x = np.unravel_index(int(np.argmax(depth)), mask.shape)
    return np.array([x, y], np.float32)
