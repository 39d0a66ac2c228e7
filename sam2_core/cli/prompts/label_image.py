"""Objects that another program segmented (Cellpose, StarDist, …) as prompts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam2_core.cli.prompts.mask_crop import MaskCrop
from sam2_core.cli.prompts.objects import FramePrompt, ObjectPrompts
from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.volumes.labels import MAX_LABEL


class LabelPrompt(StrEnum):
    """What an object of a label image becomes."""

    MASK = "mask"
    POINT = "point"
    BOX = "box"


class LabelFrames(Protocol):
    """Frames of labels, read one at a time."""

    @property
    def frame_size(self) -> tuple[int, int]:
        """(height, width)."""

    def __len__(self) -> int:
        """Number of frames."""

    def read(self, index: int, /) -> NDArray[Any]:
        """One frame: (y, x) integer."""


@dataclass
class _Best:
    """The frame on which an object is largest."""

    frame: int
    area: int


def prompts_from_labels(
    labels: LabelFrames,
    name: str,
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
    labels : LabelFrames
        Either as long as the stack, or a single frame.
    name : str
        Of the label image, for messages.
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
    InvalidTypeError
        The values are no integers.
    """
    places = _places(labels, name, frame_count, frame_size, frame, frames)
    best: dict[int, _Best] = {}
    for stack_frame, label_frame in places.items():
        areas = np.bincount(_checked(labels.read(label_frame), name, stack_frame).reshape(-1))
        for object_id in areas.nonzero()[0].tolist():
            area = int(areas[object_id])
            if object_id and (object_id not in best or area > best[object_id].area):
                best[object_id] = _Best(stack_frame, area)
    if not best:
        where = f"on frame {frame}" if frame is not None else "on any frame that is looked at"
        raise InvalidInputError(f"{name} holds no object {where}: all of it is 0, background.")
    by_frame: dict[int, set[int]] = {}
    for object_id, found in best.items():
        by_frame.setdefault(found.frame, set()).add(object_id)
    objects = []
    for stack_frame, ids in by_frame.items():
        for object_id, mask in _masks(_checked(labels.read(places[stack_frame]), name, stack_frame), ids):
            origin = f"object {object_id} of {name}"
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
    labels: LabelFrames,
    name: str,
    frame_count: int,
    frame_size: tuple[int, int],
    frame: int | None,
    frames: range | None,
) -> dict[int, int]:
    """Which frames of the stack to look at, and which frame of the labels each one is."""
    if labels.frame_size != frame_size:
        raise InvalidInputError(
            f"{name} has frames of height x width {labels.frame_size[0]} x {labels.frame_size[1]}; the stack has "
            f"{frame_size[0]} x {frame_size[1]}. Labels must be made for this stack."
        )
    if frame is not None and not 0 <= frame < frame_count:
        raise InvalidInputError(f"There is no frame {frame}; the stack has frames 0 to {frame_count - 1}.")
    if len(labels) == frame_count:
        wanted = (frames or range(frame_count)) if frame is None else [frame]
        return {index: index for index in wanted}
    if len(labels) != 1:
        raise InvalidInputError(f"{name} has {len(labels)} frames; expected {frame_count}, as many as the stack, or 1.")
    if frame is None:
        raise InvalidInputError(
            f"{name} is a single frame, and the stack has {frame_count}: say with --frame N which of "
            "them it belongs to."
        )
    return {frame: 0}


def _checked(frame_labels: NDArray[Any], name: str, frame: int) -> NDArray[np.int64]:
    if frame_labels.dtype.kind not in "bui":
        raise InvalidTypeError(f"{name} holds {frame_labels.dtype} values; expected integers, 0 being background.")
    low, high = int(frame_labels.min(initial=0)), int(frame_labels.max(initial=0))
    if low < 0 or high > MAX_LABEL:
        raise InvalidInputError(
            f"{name} has ids from {low} to {high} on frame {frame}; they must lie between 1 and {MAX_LABEL}, 0 being "
            "background. Number the objects anew, for instance with skimage.segmentation.relabel_sequential."
        )
    return frame_labels.astype(np.int64)


def _masks(frame_labels: NDArray[np.int64], ids: set[int]) -> Iterator[tuple[int, MaskCrop]]:
    size = (frame_labels.shape[0], frame_labels.shape[1])
    for object_id, slices in enumerate(ndimage.find_objects(frame_labels), start=1):
        if slices is not None and object_id in ids:
            rows, columns = slices
            crop = frame_labels[rows, columns] == object_id
            yield object_id, MaskCrop.of(crop, rows.start, columns.start, size)


@dataclass(frozen=True)
class OpenedLabels:
    """A label image in a file, read frame by frame."""

    path: Path
    stack: Any

    @property
    def frame_size(self) -> tuple[int, int]:
        """(height, width)."""
        size: tuple[int, int] = self.stack.frame_size
        return size

    def __len__(self) -> int:
        return len(self.stack)

    def read(self, index: int, /) -> NDArray[Any]:
        """One frame: (y, x)."""
        raw = self.stack.read_raw(index)
        if raw.shape[2] != 1:
            raise InvalidTypeError(f"{self.path} is a colour picture; expected a label image, one number a pixel.")
        frame: NDArray[Any] = raw[:, :, 0]
        return frame
