"""The prompt types: what another program found becomes prompts for new objects."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam2_core import InvalidInputError, open_frames, open_labels
from sam2_core.hooks import Drawn, ObjectPrompt, PromptContext

Mask: TypeAlias = NDArray[np.bool_]
AsWhat: TypeAlias = Literal["mask", "box", "point"]


def from_labels(
    drawn: Drawn,
    context: PromptContext,
    *,
    labels: Path = Path(),
    told_as: AsWhat = "mask",
    min_area: Annotated[int, {"min": 1}] = 20,
    only_new: bool = True,
) -> Iterable[ObjectPrompt]:
    """Make an object of each one in a label image.

    Parameters
    ----------
    drawn : Drawn
        Says on which frame.
    context : PromptContext
    labels : Path
        Anything :func:`sam2_core.open_labels` opens: as many frames as the stack, or one.
    told_as : {"mask", "box", "point"}
        As its mask, the box around it, or the pixel farthest from its border.
    min_area : int
        Objects of fewer pixels on this frame are left out.
    only_new : bool
        Leave out those that lie on an object that is known already.

    Raises
    ------
    InvalidInputError
        No file was chosen, or it has another size or number of frames.
    """
    found = _frame_of_labels(labels, context)
    known = context.labels() if only_new else None
    prompts = []
    for number, box in enumerate(ndimage.find_objects(found), 1):
        if box is None:
            continue
        mask = found[box] == number
        x, y = _innermost(mask)
        is_known = known is not None and bool(known[box][y, x])
        if np.count_nonzero(mask) >= min_area and not is_known:
            prompts.append(_prompt(mask, box, (x, y), told_as, context.frame_size))
    return prompts


def from_peaks(
    drawn: Drawn,
    context: PromptContext,
    *,
    image: Path = Path(),
    least: Annotated[float, {"min": 0.0, "max": 1.0}] = 0.5,
    distance: Annotated[float, {"min": 1.0, "max": 1000.0}] = 10.0,
    only_new: bool = True,
) -> Iterable[ObjectPrompt]:
    """Make an object of each bright spot of an image, such as a probability or a distance map.

    Parameters
    ----------
    drawn : Drawn
        Says on which frame.
    context : PromptContext
    image : Path
        Anything :func:`sam2_core.open_frames` opens: as many frames as the stack, or one.
    least : float
        How bright a spot must be, as a part of the frame's range.
    distance : float
        Pixels between two spots at least.
    only_new : bool
        Leave out those that lie on an object that is known already.

    Raises
    ------
    InvalidInputError
        No file was chosen, or it has another size or number of frames.
    """
    if image == Path():
        raise InvalidInputError("Choose an image, whose bright spots become prompts.")
    stack = open_frames(image)
    frame = _checked_frame(image, len(stack), stack.frame_size, context)
    grey = stack.read(frame).mean(axis=-1)
    grey = ndimage.gaussian_filter(grey, distance / 6)
    span = float(grey.max() - grey.min())
    if not span:
        return []
    reach = int(distance)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    is_highest = grey == ndimage.maximum_filter(grey, footprint=x**2 + y**2 <= reach**2)
    # pixels of one flat top are one spot
    tops, count = ndimage.label(is_highest & ((grey - grey.min()) / span >= least), np.ones((3, 3), int))
    known = context.labels()
    prompts = []
    for row, column in ndimage.center_of_mass(tops > 0, tops, range(1, count + 1)):
        if not (only_new and known[round(row), round(column)]):
            prompts.append(ObjectPrompt(points=[(float(column), float(row))], labels=[1], object_id="new"))
    return prompts


def _frame_of_labels(source: Path, context: PromptContext) -> NDArray[np.int64]:
    """Labels of the drawn frame, numbered from 1 without gaps."""
    if source == Path():
        raise InvalidInputError("Choose a label image, whose objects become prompts.")
    with open_labels(source) as stack:
        found = stack.read(_checked_frame(source, len(stack), stack.frame_size, context))
    numbers, places = np.unique(found, return_inverse=True)
    places = places.reshape(found.shape).astype(np.int64)
    return places if numbers[0] == 0 else places + 1


def _checked_frame(source: Path, length: int, frame_size: Any, context: PromptContext) -> int:
    if tuple(frame_size) != tuple(context.frame_size) or length not in (1, context.frame_count):
        raise InvalidInputError(
            f"{source} has {length} frames of {tuple(frame_size)}; expected one, or {context.frame_count}, of "
            f"{tuple(context.frame_size)}."
        )
    return context.frame if length > 1 else 0


def _innermost(mask: Mask) -> tuple[int, int]:
    """The pixel (x, y) of a mask farthest from its border."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(column), int(row)


def _prompt(
    mask: Mask, box: tuple[slice, slice], innermost: tuple[int, int], told_as: AsWhat, frame_size: tuple[int, int]
) -> ObjectPrompt:
    rows, columns = box
    if told_as == "point":
        point = (float(columns.start + innermost[0]), float(rows.start + innermost[1]))
        return ObjectPrompt(points=[point], labels=[1], object_id="new")
    if told_as == "box":
        return ObjectPrompt(box=(columns.start, rows.start, columns.stop, rows.stop), object_id="new")
    whole = np.zeros(frame_size, bool)
    whole[box] = mask
    return ObjectPrompt(mask=whole, object_id="new")
