"""Prompts of the image predictor: refused before anything is changed, or brought to the model's pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.inference.frame_transform import FrameTransform

_Array = npt.NDArray[np.float32]
NO_POINT = -1
"""Label of a place in a table of points where an object has none."""


@dataclass(frozen=True)
class ImagePrompts:
    """Prompts for B objects of one image, in pixels of the model's input, as tensors on the model's device.

    Attributes
    ----------
    coords : Tensor, optional
        (B, N, 2) float32, x before y.
    labels : Tensor, optional
        (B, N) int32; 1 object, 0 background.
    boxes : Tensor, optional
        (B, 2, 2) float32: upper-left and lower-right corner, x before y.
    mask_input : Tensor, optional
        (B or 1, 1, h, w) float32 logits.
    """

    coords: Tensor | None
    labels: Tensor | None
    boxes: Tensor | None
    mask_input: Tensor | None

    @property
    def is_empty(self) -> bool:
        """Whether there is no prompt at all."""
        return self.coords is None and self.boxes is None and self.mask_input is None


def image_prompts(
    point_coords: Any,
    point_labels: Any,
    box: Any,
    mask_input: Any,
    *,
    image_size: Sequence[int],
    mask_input_size: Sequence[int],
    normalize_coords: bool,
    transform: FrameTransform,
    device: torch.device,
    known_labels: Sequence[int] = (0, 1),
) -> ImagePrompts:
    """Check a person's prompts and scale them to the model's input.

    Parameters
    ----------
    point_coords : array_like or None
        (N, 2) or (B, N, 2), x before y: pixels of the image, or fractions of its size if not `normalize_coords`.
    point_labels : array_like or None
        (N,) or (B, N): 1 on the object, 0 beside it.
    box : array_like or None
        (4,) or (B, 4) as x0, y0, x1, y1, in the unit of the points.
    mask_input : array_like or None
        (1, h, w) or (B, 1, h, w) logits of an earlier prediction.
    image_size, mask_input_size : (int, int)
        Height and width of the image, and of the mask logits the model takes.
    normalize_coords : bool
        Whether coordinates are pixels of the image.
    transform : FrameTransform
        Knows the model's input size.
    device : torch.device
        Where the prompts are wanted.
    known_labels : sequence of int
        Labels to take. The model knows more than a person needs: -1 (no point, whatever its coordinates), 2 and 3 (the
        corners of a box).

    Returns
    -------
    ImagePrompts

    Raises
    ------
    InvalidTypeError
        Something that holds no real numbers.
    InvalidInputError
        Wrong dimensions; counts that differ; NaN; an unknown label; a point outside the image;
        a box inverted, empty or beside the image; a mask input of another size.
    """
    height, width = (image_size[0], image_size[1]) if normalize_coords else (1, 1)
    extent = np.array([width, height], dtype=np.float32)
    unit = "pixels" if normalize_coords else "fractions of the image, since normalize_coords=False"
    if (point_coords is None) != (point_labels is None):
        missing = "point_labels" if point_labels is None else "point_coords"
        raise InvalidInputError(f"points and labels go together, one label for each point; {missing} is missing")
    coords = None if point_coords is None else _points(point_coords)
    labels = None if coords is None else _labels(point_labels, coords.shape[:2], known_labels)
    if coords is not None and labels is not None:
        _require_inside(coords[labels != NO_POINT], extent, unit)
    if coords is not None and coords.shape[1] == 0:
        coords = labels = None
    boxes = None if box is None else _boxes(box, extent, unit)
    logits = None if mask_input is None else _mask_logits(mask_input, mask_input_size)
    _check_counts(coords, boxes, logits)

    def on_device(array: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(device)

    return ImagePrompts(
        None if coords is None else transform.transform_coords(on_device(coords), normalize_coords, image_size),
        None if labels is None else on_device(labels),
        None if boxes is None else transform.transform_boxes(on_device(boxes), normalize_coords, image_size),
        None if logits is None else on_device(logits),
    )


def _numbers(values: Any, name: str) -> _Array:
    """Turn lists, arrays and tensors of real numbers into a float32 array of its own; refuse NaN and infinity."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().double().numpy()
    try:
        array = np.asarray(values)
    except ValueError as error:  # lists of lists of different lengths
        raise InvalidInputError(f"{name} is no regular array: {error}") from error
    if array.dtype.kind not in "buif":
        raise InvalidTypeError(f"{name} holds real numbers, got an array of dtype {array.dtype}")
    numbers = np.array(array, dtype=np.float32, order="C")
    if not np.isfinite(numbers).all():
        raise InvalidInputError(f"{name} holds NaN or infinite values")
    return numbers


def _points(values: Any) -> _Array:
    """Points as (B, N, 2)."""
    points = _numbers(values, "point_coords")
    if points.ndim not in (2, 3) or points.shape[-1] != 2:
        raise InvalidInputError(
            f"point_coords has shape (N, 2), or (B, N, 2) for B objects, x before y; got {points.shape}"
        )
    return points if points.ndim == 3 else points[None]


def _require_inside(points: _Array, extent: _Array, unit: str) -> None:
    outside = ((points < 0) | (points > extent)).any(axis=-1)
    if outside.any():
        x, y = points[outside][0]
        raise InvalidInputError(
            f"point (x={x:g}, y={y:g}) is outside the image: x goes from 0 to {extent[0]:g} and y from 0 to "
            f"{extent[1]:g} ({unit}); a point is (x, y), not (row, column)"
        )


def _labels(values: Any, shape: tuple[int, ...], known: Sequence[int]) -> npt.NDArray[np.int32]:
    """Labels as (B, N), one for each point."""
    labels = _numbers(values, "point_labels")
    if labels.ndim == 1:
        labels = labels[None]
    if labels.shape != shape:
        raise InvalidInputError(
            f"one label for each point: expected point_labels of shape {shape[1:] if shape[0] == 1 else shape}, "
            f"got {np.shape(values)}"
        )
    wrong = labels[~np.isin(labels, known)]
    if wrong.size:
        raise InvalidInputError(
            f"a label is 1 (on the object) or 0 (background), got {wrong[0]:g}; corners of a box go into `box`"
        )
    return labels.astype(np.int32)


def _boxes(values: Any, extent: _Array, unit: str) -> _Array:
    """Boxes as (B, 4)."""
    boxes = _numbers(values, "box")
    if boxes.ndim not in (1, 2) or boxes.shape[-1] != 4 or boxes.size == 0:
        raise InvalidInputError(f"box has shape (4,), or (B, 4) for B objects: x0, y0, x1, y1; got {boxes.shape}")
    boxes = np.atleast_2d(boxes)
    low, high = boxes[:, :2], boxes[:, 2:]
    inverted = (high <= low).any(axis=1)
    # A box that reaches over the border is what detectors give; the model knows what to do with it.
    beside = ((high < 0) | (low > extent)).any(axis=1)
    if inverted.any():
        raise InvalidInputError(
            f"box {boxes[inverted][0].tolist()} is inverted or empty: expected x0, y0, x1, y1 with x0 < x1 and y0 < y1"
        )
    if beside.any():
        raise InvalidInputError(
            f"box {boxes[beside][0].tolist()} lies outside the image: x goes from 0 to {extent[0]:g} and y from 0 to "
            f"{extent[1]:g} ({unit})"
        )
    return boxes


def _mask_logits(values: Any, size: Sequence[int]) -> _Array:
    """Mask input as (B, 1, h, w)."""
    logits = _numbers(values, "mask_input")
    if logits.ndim not in (3, 4) or logits.shape[-3:] != (1, *size) or logits.shape[0] == 0:
        raise InvalidInputError(
            f"mask_input has shape (1, {size[0]}, {size[1]}), or (B, 1, {size[0]}, {size[1]}) for B objects; got "
            f"{logits.shape}. Give one of the low-resolution logits of an earlier prediction, as in logits[best][None]"
        )
    return logits if logits.ndim == 4 else logits[None]


def _check_counts(coords: _Array | None, boxes: _Array | None, logits: _Array | None) -> None:
    """Prompts of different kinds are for the same number of objects; one mask input may serve all."""
    counts = {
        name: len(prompt)
        for name, prompt in (("point_coords", coords), ("box", boxes), ("mask_input", logits))
        if prompt is not None
    }
    if len(counts) > 1 and counts.get("mask_input") == 1:
        del counts["mask_input"]
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} for {count}" for name, count in counts.items())
        raise InvalidInputError(
            f"prompts of one call are for the same number of objects, got {listed}; "
            "points for B objects have shape (B, N, 2)"
        )
