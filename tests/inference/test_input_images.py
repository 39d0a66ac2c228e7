from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.inference.input_images import image_pixels

FLOATS = np.full((4, 5, 3), 0.5)


def with_value(value: float) -> np.ndarray:
    image = FLOATS.copy()
    image[1, 2, 0] = value
    return image


@pytest.mark.parametrize(
    ("image", "match"),
    [
        (np.zeros((4, 5, 3), np.uint16), "percentile"),
        (np.zeros((4, 5, 3), np.int64), "int64"),
        (np.zeros((4, 5), bool), "bool"),
        (np.zeros((4, 5), complex), "complex"),
        (torch.zeros(4, 5, 3), "torch.Tensor"),
        ("image.png", "builtins.str"),
        (None, "NoneType"),
        (Image.new("I;16", (5, 4)), "I;16"),
        (Image.new("F", (5, 4)), "'F'"),
    ],
)
def test_wrong_types_are_refused(image: Any, match: str) -> None:
    with pytest.raises(InvalidTypeError, match=match):
        image_pixels(image)


@pytest.mark.parametrize(
    ("image", "match"),
    [
        (np.zeros(5, np.uint8), "1 axes"),
        (np.zeros((2, 4, 5, 3), np.uint8), "one plane at a time"),
        (np.zeros((0, 5, 3), np.uint8), "empty"),
        (np.zeros((4, 5, 0), np.uint8), "empty"),
        (np.zeros((3, 40, 50), np.uint8), "channels come last"),
        (np.zeros((4, 5, 4), np.uint8), "alpha"),
        (np.zeros((4, 5, 2), np.uint8), "one plane"),
        (with_value(np.nan), "1 NaN"),
        (with_value(np.inf), "infinite"),
        (with_value(255.0), "0.5 to 255"),
        (with_value(-0.1), "-0.1"),
    ],
)
def test_wrong_shapes_and_values_are_refused(image: Any, match: str) -> None:
    with pytest.raises(InvalidInputError, match=match):
        image_pixels(image)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK", "LA"])
def test_8_bit_pil_images_of_any_mode_are_taken(mode: str) -> None:
    pixels = image_pixels(Image.new("RGB", (5, 4), (200, 10, 30)).convert(mode))

    assert pixels.dtype == np.uint8
    assert pixels.shape[:2] == (4, 5)


def test_floats_become_float32() -> None:
    assert image_pixels(FLOATS.astype(np.float16)).dtype == np.float32
    assert image_pixels(FLOATS[:, :, :1]).shape == (4, 5)
