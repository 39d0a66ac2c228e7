"""Objects that another program segmented (Cellpose, StarDist, …) as prompts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from sam2_core.cli.prompts.mask_crop import MaskCrop
from sam2_core.cli.prompts.objects import FramePrompt, ObjectPrompts
from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.volumes.labels import MAX_LABEL, ArrayLabels, LabelStack, open_labels


class LabelPrompt(StrEnum):
    """What an object of a label image becomes."""

    MASK = "mask"
    POINT = "point"
    BOX = "box"


@dataclass
class _Best:
    """The frame on which an object is largest."""

    frame: int
    area: int


def prompts_from_labels(
    labels: LabelStack,
    *,
    frame_count: int,
    frame_size: tuple[int, int],
    frame: int | None = None,
    frames: range | None = None,
    kind: LabelPrompt = LabelPrompt.MASK,
) -> list[ObjectPrompts]:
    """Make one prompt of each object of a label image, on the frame where the object is largest.

    The labels are read frame by frame, twice at most; of the objects no more is kept than their pixels.

    Parameters
    ----------
    labels : LabelStack
        Either as long as the stack, or a single frame.
    frame_count : int
        Of the stack.
    frame_size : tuple of int
        (height, width) of the stack.
    frame : int, optional
        Take objects on this frame only; needed where the label image is a single frame and the stack is not.
    frames : range, optional
        Look at these frames only.
    kind : LabelPrompt
        The object's mask, the point of it that is farthest from its border, or the box around it.

    Returns
    -------
    list of ObjectPrompts
        With the ids of the label image, ascending.

    Raises
    ------
    InvalidInputError
        Another size than the stack's, no object, ids that do not fit, a frame that does not exist or is not given.
    """
    places = _places(labels, frame_count, frame_size, frame, frames)
    best: dict[int, _Best] = {}
    for stack_frame, label_frame in places.items():
        areas = np.bincount(_read(labels, label_frame).reshape(-1))
        for object_id in areas.nonzero()[0].tolist():
            area = int(areas[object_id])
            if object_id and (object_id not in best or area > best[object_id].area):
                best[object_id] = _Best(stack_frame, area)
    if not best:
        where = f"on frame {frame}" if frame is not None else "on any frame that is looked at"
        raise InvalidInputError(f"{labels.name} holds no object {where}: all of it is 0, background.")
    by_frame: dict[int, set[int]] = {}
    for object_id, found in best.items():
        by_frame.setdefault(found.frame, set()).add(object_id)
    objects = []
    for stack_frame, ids in by_frame.items():
        for object_id, mask in _masks(_read(labels, places[stack_frame]), ids):
            origin = f"object {object_id} of {labels.name}"
            objects.append(ObjectPrompts(object_id, {stack_frame: prompt_of(mask, kind, origin)}))
    return sorted(objects, key=lambda one: one.object_id)


def prompt_of(mask: MaskCrop, kind: LabelPrompt, origin: str = "") -> FramePrompt:
    """Turn a known mask into a prompt: itself, the point farthest from its border, or the box around it."""
    if kind is LabelPrompt.MASK:
        return FramePrompt(mask=mask)
    if kind is LabelPrompt.POINT:
        return FramePrompt(points=[mask.peak], labels=[1], point_origins=[origin])
    x0, y0, x1, y1 = mask.box
    return FramePrompt(box=(float(x0), float(y0), float(x1), float(y1)), box_origin=origin)


def _places(
    labels: LabelStack,
    frame_count: int,
    frame_size: tuple[int, int],
    frame: int | None,
    frames: range | None,
) -> dict[int, int]:
    """Which frames of the stack to look at, and which frame of the labels each one is."""
    if labels.frame_size != frame_size:
        raise InvalidInputError(
            f"{labels.name} has frames of height x width {labels.frame_size[0]} x {labels.frame_size[1]}; the stack "
            f"has {frame_size[0]} x {frame_size[1]}. Labels must be made for this stack."
        )
    if frame is not None and not 0 <= frame < frame_count:
        raise InvalidInputError(f"There is no frame {frame}; the stack has frames 0 to {frame_count - 1}.")
    if len(labels) == frame_count:
        wanted = (frames or range(frame_count)) if frame is None else [frame]
        return {index: index for index in wanted}
    if len(labels) != 1:
        raise InvalidInputError(
            f"{labels.name} has {len(labels)} frames; expected {frame_count}, as many as the stack, or 1."
        )
    if frame is None:
        raise InvalidInputError(
            f"{labels.name} is a single frame, and the stack has {frame_count}: say with --frame N which of "
            "them it belongs to."
        )
    return {frame: 0}


def _read(labels: LabelStack, label_frame: int) -> NDArray[np.int64]:
    found = labels.read(label_frame).astype(np.int64)
    if found.size and found.max() > MAX_LABEL:
        raise InvalidInputError(
            f"{labels.name} has ids up to {found.max()} on frame {label_frame}; they must lie between 1 and "
            f"{MAX_LABEL}. Number the objects anew, for instance with skimage.segmentation.relabel_sequential."
        )
    return found


def _masks(frame_labels: NDArray[np.int64], ids: set[int]) -> Iterator[tuple[int, MaskCrop]]:
    size = (frame_labels.shape[0], frame_labels.shape[1])
    for object_id, slices in enumerate(ndimage.find_objects(frame_labels), start=1):
        if slices is not None and object_id in ids:
            rows, columns = slices
            crop = frame_labels[rows, columns] == object_id
            yield object_id, MaskCrop.of(crop, rows.start, columns.start, size)


def open_label_image(address: str) -> LabelStack:
    """Open labels of another program: anything :func:`~sam2_core.volumes.labels.open_labels` reads, or a single PNG.

    Parameters
    ----------
    address : str
        A path, or the URL of an OME-Zarr.

    Raises
    ------
    MissingFileError
        There is no such file.
    InvalidInputError, InvalidTypeError
        These are no labels.
    """
    path = Path(address)
    if path.suffix.casefold() != ".png" or not path.is_file():
        return open_labels(address)
    with Image.open(path) as picture:
        pixels = np.asarray(picture)  # of a palette its indices, which are the ids
    if pixels.ndim != 2:
        raise InvalidTypeError(f"{path.name} is a colour picture; expected a label image, one number a pixel.")
    return ArrayLabels(pixels, name=path.name)
