"""Prompts of the video predictor, checked and brought to the model's coordinates before anything is changed."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.inference.image_prompts import NO_POINT
from sam2_core.model.results import PointPrompts

#: Labels under which the prompt encoder takes the two corners of a box.
BOX_CORNER_LABELS = (2, 3)


def checked_frame_index(frame_index: Any, num_frames: int) -> int:
    """Return ``frame_index`` as an int of the stack.

    Raises
    ------
    InvalidTypeError
        It is no integer.
    InvalidInputError
        The stack has no such frame.
    """
    try:
        index = operator.index(frame_index)
    except TypeError:
        raise InvalidTypeError(
            f"A frame index is an integer from 0 to {num_frames - 1}; got {frame_index!r} of type "
            f"{type(frame_index).__name__}."
        ) from None
    if not 0 <= index < num_frames:
        raise InvalidInputError(
            f"Frame {index} does not exist: this stack has {num_frames} frames, 0 to {num_frames - 1}."
        )
    return index


def checked_frame_count(frame_count: Any) -> int:
    """Return ``frame_count`` as an int.

    Raises
    ------
    InvalidTypeError
        It is no integer.
    InvalidInputError
        It is negative.
    """
    try:
        count = operator.index(frame_count)
    except TypeError:
        raise InvalidTypeError(
            f"The number of frames to track is an integer; got {frame_count!r} of type {type(frame_count).__name__}."
        ) from None
    if count < 0:
        raise InvalidInputError(f"The number of frames to track cannot be negative; got {count}.")
    return count


def point_prompts(
    points: Any,
    labels: Any,
    box: Any,
    *,
    frame_size: tuple[int, int],
    input_size: tuple[int, int],
    normalize_coords: bool,
    known_labels: Sequence[int] = (0, 1),
) -> PointPrompts:
    """Turn a person's points and box into the model's point prompts.

    A box becomes two points, its corners, ahead of the others, as the model was trained (SAM 2 paper, appendix on
    prompts).

    Parameters
    ----------
    points : array_like or None
        (P, 2) or (1, P, 2), as (x, y): pixels of the frame, or fractions of its size if not ``normalize_coords``.
    labels : array_like or None
        (P,) or (1, P): 1 on the object, 0 beside it.
    box : array_like or None
        (4,) as (x0, y0, x1, y1), in the unit of the points.
    frame_size, input_size : (int, int)
        (height, width) of the frame and of the model's input.
    normalize_coords : bool
        Whether the coordinates are pixels of the frame, still to be divided by its size.
    known_labels : sequence of int
        Labels to take. The model knows more than a person needs: -1 (no point, whatever its coordinates), 2 and 3 (the
        corners of a box).

    Returns
    -------
    PointPrompts
        One row of points in pixels of the model's input, on the CPU.

    Raises
    ------
    InvalidInputError
        Nothing was given; counts differ; a value is NaN, a label unknown, a point outside the frame, or a box inverted
        or beside the frame.
    """
    if (points is None) != (labels is None):
        missing = "labels" if labels is None else "points"
        raise InvalidInputError(f"points and labels go together, one label for each point; {missing} is missing.")
    if points is None and box is None:
        raise InvalidInputError("A prompt needs points with labels, a box, or both; got neither.")
    height, width = frame_size if normalize_coords else (1, 1)
    extent = torch.tensor([width, height], dtype=torch.float32)
    unit = "pixels of the frame" if normalize_coords else "fractions of the frame (normalize_coords=False)"

    coords = torch.zeros(0, 2)
    values = torch.zeros(0, dtype=torch.int32)
    if points is not None:
        coords = _checked_points(points)
        values = _checked_labels(labels, len(coords), known_labels)
        _require_inside(coords[values != NO_POINT], extent, unit)
    if box is not None:
        corners = _checked_box(box, extent, unit)
        coords = torch.cat([corners, coords])
        values = torch.cat([torch.tensor(BOX_CORNER_LABELS, dtype=torch.int32), values])
    if len(coords) == 0:
        raise InvalidInputError("points is empty and there is no box; give at least one point.")
    scaled = coords / extent * torch.tensor([input_size[1], input_size[0]], dtype=torch.float32)
    return PointPrompts(coords=scaled[None], labels=values[None])


def joined(earlier: PointPrompts | None, added: PointPrompts) -> PointPrompts:
    """Append points to those given earlier on the same frame."""
    if earlier is None:
        return added
    return PointPrompts(
        coords=torch.cat([earlier.coords, added.coords], dim=1), labels=torch.cat([earlier.labels, added.labels], dim=1)
    )


def mask_prompt(mask: Any, *, frame_size: tuple[int, int], input_size: tuple[int, int]) -> torch.Tensor:
    """Turn a person's mask into the model's mask prompt.

    Parameters
    ----------
    mask : array_like
        (H, W) of the frame, or of the model's input. bool or integers: the object is where they are not zero. Floating
        point: shares of coverage from 0 to 1.

    Returns
    -------
    torch.Tensor
        (1, 1, H, W) float32 of the model's input size, 0 or 1, on the CPU.

    Raises
    ------
    InvalidTypeError
        Not an array of numbers.
    InvalidInputError
        Wrong dimensions or size; NaN; floating-point values outside 0 to 1.
    """
    given = _as_tensor(mask, "mask")
    if given.dim() != 2:
        raise InvalidInputError(
            f"A mask has two dimensions, (height, width); got shape {tuple(given.shape)}. Add one mask per object."
        )
    if tuple(given.shape) not in (frame_size, input_size):
        raise InvalidInputError(
            f"The mask is {given.shape[0]}x{given.shape[1]} (height x width), the frames are "
            f"{frame_size[0]}x{frame_size[1]}. Give the mask at the size of the frames."
        )
    if given.is_floating_point():
        values = given.float()
        if not bool(((values >= 0) & (values <= 1)).all()):
            raise InvalidInputError(
                "A floating-point mask holds shares from 0 to 1 and no NaN. For logits pass `logits > 0`."
            )
    else:
        values = (given != 0).float()
    values = values[None, None]
    if tuple(given.shape) == input_size:
        return values
    # as the official predictor resizes masks: smooth when shrinking, then cut in the middle
    resized = functional.interpolate(values, size=input_size, mode="bilinear", align_corners=False, antialias=True)
    return (resized >= 0.5).float()


def _as_tensor(values: Any, name: str) -> torch.Tensor:
    if isinstance(values, torch.Tensor):
        tensor = values.detach().cpu()
    else:
        try:
            # numpy first: it turns nested lists and arrays of numpy scalars into one array, and says no to ragged ones
            array = np.asarray(values)
            tensor = torch.from_numpy(np.ascontiguousarray(array.astype(_torch_dtype(array.dtype))))
        except (TypeError, ValueError) as error:
            kind = type(values).__name__
            raise InvalidTypeError(f"{name} must be an array of numbers; got {kind}: {error}") from error
    if tensor.is_complex():
        raise InvalidTypeError(f"{name} must hold real numbers; got {tensor.dtype}.")
    return tensor


def _torch_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a dtype torch can take: the same one, or a wider one for those it lacks."""
    if dtype.kind == "u" and dtype.itemsize > 1:
        return np.dtype(np.int64)
    if dtype.kind not in "buif":
        raise TypeError(f"values of dtype {dtype} are no numbers")
    return dtype.newbyteorder("=")


def _checked_points(points: Any) -> torch.Tensor:
    tensor = _as_tensor(points, "points")
    if tensor.numel() == 0:
        return torch.zeros(0, 2)
    if tensor.dim() == 3 and tensor.shape[0] == 1:
        tensor = tensor[0]
    if tensor.dim() != 2 or tensor.shape[1] != 2:
        raise InvalidInputError(f"points has shape (P, 2), each as (x, y); got {tuple(tensor.shape)}.")
    coords = tensor.float()
    if not bool(torch.isfinite(coords).all()):
        raise InvalidInputError("points holds NaN or infinity; every point needs a finite x and y.")
    return coords


def _require_inside(coords: torch.Tensor, extent: torch.Tensor, unit: str) -> None:
    outside = ((coords < 0) | (coords > extent)).any(dim=1)
    if bool(outside.any()):
        first = coords[outside][0].tolist()
        raise InvalidInputError(
            f"Point (x={first[0]:g}, y={first[1]:g}) lies outside the frame: x runs from 0 to {extent[0]:g} and y from "
            f"0 to {extent[1]:g}, in {unit}. Points are (x, y), not (row, column)."
        )


def _checked_labels(labels: Any, count: int, known: Sequence[int]) -> torch.Tensor:
    tensor = _as_tensor(labels, "labels")
    if tensor.dim() == 2 and tensor.shape[0] == 1:
        tensor = tensor[0]
    if tensor.dim() != 1 or len(tensor) != count:
        raise InvalidInputError(
            f"There are {count} points and labels has shape {tuple(tensor.shape)}; give one label for each point."
        )
    if not bool(torch.isin(tensor.double(), torch.tensor(known, dtype=torch.double)).all()):
        raise InvalidInputError(
            f"Labels are 1 (on the object) or 0 (beside it); got {sorted(set(tensor.tolist()))}. A box goes into box="
        )
    return tensor.to(torch.int32)


def _checked_box(box: Any, extent: torch.Tensor, unit: str) -> torch.Tensor:
    tensor = _as_tensor(box, "box")
    if tensor.numel() != 4:
        raise InvalidInputError(f"A box is (x0, y0, x1, y1); got shape {tuple(tensor.shape)}.")
    corners = tensor.float().reshape(2, 2)
    if not bool(torch.isfinite(corners).all()):
        raise InvalidInputError("The box holds NaN or infinity; all four of (x0, y0, x1, y1) must be finite.")
    (x0, y0), (x1, y1) = corners.tolist()
    if x1 <= x0 or y1 <= y0:
        raise InvalidInputError(
            f"The box (x0={x0:g}, y0={y0:g}, x1={x1:g}, y1={y1:g}) is inverted or empty; x0 < x1 and y0 < y1 are needed"
        )
    # detectors let boxes run over the border, which the model takes well; one wholly beside the frame is a mistake
    if x1 < 0 or y1 < 0 or x0 > float(extent[0]) or y0 > float(extent[1]):
        raise InvalidInputError(
            f"The box (x0={x0:g}, y0={y0:g}, x1={x1:g}, y1={y1:g}) lies outside the frame: x runs from 0 to "
            f"{extent[0]:g} and y from 0 to {extent[1]:g}, in {unit}."
        )
    return corners
