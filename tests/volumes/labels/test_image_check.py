"""An image is refused as labels; labels of any kind are not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels import open_labels
from sam2_core.volumes.labels.image_check import is_image, require_labels
from tests.volumes.labels.random_labels import painted_stack

RANDOM = np.random.default_rng(0)


def centres() -> np.ndarray:
    """A label of one pixel for each of many cells."""
    labels = np.zeros((64, 64), np.int64)
    labels[::4, ::4] = np.arange(1, 257).reshape(16, 16)
    return labels


def touching() -> np.ndarray:
    """Small cells that fill the plane, each of about 20 pixels."""
    seeds = np.zeros((90, 90), np.int64)
    spots = RANDOM.integers(0, 90, (400, 2))
    seeds[spots[:, 0], spots[:, 1]] = np.arange(1, 401)
    nearest = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    return seeds[tuple(nearest)]


@pytest.mark.parametrize(
    "pixels",
    [
        RANDOM.poisson(200, (64, 64)),
        RANDOM.poisson(2, (64, 64)),
        ndimage.gaussian_filter(RANDOM.normal(1000, 300, (64, 64)), 1).astype(np.int64),
    ],
    ids=["bright", "dim", "smooth"],
)
def test_images(pixels: np.ndarray) -> None:
    assert is_image(pixels)
    with open_labels(np.stack([np.zeros_like(pixels), pixels])) as labels:
        with pytest.raises(InvalidInputError, match=r"looks like an image.*expected one whole number.*got \d+ values"):
            require_labels(labels, range(2))
        require_labels(labels, range(1))  # an empty frame says nothing


@pytest.mark.parametrize("pixels", [centres(), touching(), *painted_stack(2)], ids=["centres", "touching", "a", "b"])
def test_labels(pixels: np.ndarray) -> None:
    with open_labels(pixels[None]) as labels:
        require_labels(labels, range(1))


def test_one_frame_of_labels_is_enough() -> None:
    frames = np.stack([RANDOM.poisson(200, (90, 90)), touching()])
    with open_labels(frames) as labels:
        require_labels(labels, range(2))
