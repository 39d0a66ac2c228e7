"""What the predictors accept as an image, and the refusal of everything else."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2_core.errors import InvalidInputError, InvalidTypeError

ImageLike: TypeAlias = npt.NDArray[np.generic] | Image.Image

# PIL modes whose conversion to RGB keeps 8-bit values as they are shown.
_EIGHT_BIT_MODES = frozenset(
    ["1", "L", "P", "RGB", "RGBA", "RGBX", "RGBa", "LA", "La", "PA", "CMYK", "YCbCr", "HSV", "LAB"]
)
_CONTRAST_ADVICE = (
    "choose contrast limits first, for example low, high = numpy.percentile(image, (1, 99.8)) and "
    "numpy.clip((image - low) / (high - low), 0, 1).astype('float32'), "
    "or open the file with sam2_core.open_frames, which does that"
)


def image_pixels(image: ImageLike) -> npt.NDArray[np.generic]:
    """Check an image and give its pixels.

    Parameters
    ----------
    image : ndarray or PIL.Image.Image
        Axes (y, x), (y, x, 1) or (y, x, RGB). uint8 with values 0-255, or floating point with values 0-1. A PIL image
        of 8 bits a channel, in any mode, is converted to RGB.

    Returns
    -------
    ndarray
        Axes (y, x) for a greyscale image, else (y, x, RGB); uint8 or float32, C-contiguous.

    Raises
    ------
    InvalidTypeError
        Not an array or PIL image, or a dtype with no agreed range (16-bit and other integers, bool, complex).
    InvalidInputError
        Wrong dimensions, no pixels, NaN or infinite values, or floating-point values outside 0-1.
    """
    if isinstance(image, Image.Image):
        return _pil_pixels(image)
    if not isinstance(image, np.ndarray):
        raise InvalidTypeError(
            f"an image is a numpy array or a PIL image, got {type(image).__module__}.{type(image).__qualname__}; "
            "convert it, for example with numpy.asarray(image)"
        )
    _check_dimensions(image.shape)
    if image.ndim == 3 and (image.shape[2] == 1 or image.strides[2] == 0):
        # one channel, or one that is shown three times
        image = image[:, :, 0]
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    if not np.issubdtype(image.dtype, np.floating):
        raise InvalidTypeError(
            f"an image is uint8 (0 to 255) or floating point (0 to 1), got {image.dtype}; {_CONTRAST_ADVICE}"
        )
    pixels = np.ascontiguousarray(image, dtype=np.float32)
    lowest, highest = float(pixels.min()), float(pixels.max())  # NaN goes through min and max
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        bad = int(pixels.size - np.count_nonzero(np.isfinite(pixels)))
        raise InvalidInputError(
            f"the image has {bad} NaN or infinite values; replace them, for example by its smallest value"
        )
    if lowest < 0.0 or highest > 1.0:
        raise InvalidInputError(
            f"a floating-point image has values from 0 to 1, got {lowest:g} to {highest:g}; {_CONTRAST_ADVICE}"
        )
    return pixels


def _check_dimensions(shape: tuple[int, ...]) -> None:
    """Refuse shapes that are no image, naming the likely cause."""
    if len(shape) not in (2, 3):
        raise InvalidInputError(
            f"an image has axes (y, x) or (y, x, RGB), got {len(shape)} axes of shape {shape}; pass one plane at a time"
        )
    if 0 in shape:
        raise InvalidInputError(f"the image is empty: its shape is {shape}")
    if len(shape) == 3 and shape[2] not in (1, 3):
        if shape[2] == 4:
            advice = "drop the alpha channel with image[..., :3]"
        elif shape[0] in (1, 3):
            advice = "the channels come last: numpy.moveaxis(image, 0, -1)"
        else:
            advice = "pass one plane, or three channels as red, green and blue"
        raise InvalidInputError(f"a colour image has shape (height, width, 3), got {shape}; {advice}")


def _pil_pixels(image: Image.Image) -> npt.NDArray[np.generic]:
    """Pixels of a PIL image as uint8, axes (y, x) or (y, x, RGB)."""
    if image.mode not in _EIGHT_BIT_MODES:
        raise InvalidTypeError(
            f"a PIL image has 8 bits a channel, got mode {image.mode!r}; convert it with numpy.asarray(image), then "
            f"{_CONTRAST_ADVICE}"
        )
    if 0 in image.size:
        raise InvalidInputError(f"the image is empty: its size is {image.size}")
    return np.array(image if image.mode in ("L", "RGB") else image.convert("RGB"), dtype=np.uint8)
