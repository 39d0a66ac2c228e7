"""Masks of a plane too large for an array per object: each as its bounding box and the pixels in it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.inference.tile_grid import Tile, Window

NOWHERE = Window(0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class ObjectMask:
    """One object's mask on one frame.

    Attributes
    ----------
    object_id : hashable
        The caller's name for the object.
    window : Window
        The smallest window that holds the mask, in pixels of the plane; of size 0 where the object was not found.
    mask : ndarray of bool
        (y, x) of the window's size.
    predicted_iou : float
        The IoU the model expects of the mask, NaN if unknown.
    object_score : float
        Logit, above 0 where the model sees the object; NaN if unknown.
    """

    object_id: Hashable
    window: Window
    mask: NDArray[np.bool_]
    predicted_iou: float = math.nan
    object_score: float = math.nan

    @classmethod
    def from_pixels(
        cls,
        object_id: Hashable,
        pixels: NDArray[Any],
        origin: tuple[int, int] = (0, 0),
        predicted_iou: float = math.nan,
        object_score: float = math.nan,
    ) -> ObjectMask:
        """Cut a mask out of a picture of it.

        Parameters
        ----------
        object_id : hashable
            The object.
        pixels : ndarray of bool
            (y, x).
        origin : (int, int)
            (row, column) of the picture's first pixel in the plane.
        predicted_iou, object_score : float
            As for the class.
        """
        rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
        if not len(rows):
            return cls(object_id, NOWHERE, np.zeros((0, 0), dtype=np.bool_), predicted_iou, object_score)
        top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
        window = Window(origin[0] + top, origin[1] + left, origin[0] + bottom, origin[1] + right)
        cut = np.array(pixels[top:bottom, left:right], dtype=np.bool_)
        return cls(object_id, window, cut, predicted_iou, object_score)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1) in pixels of the plane, the ends not included; zeros where there is no mask."""
        return self.window.box

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.mask))

    @property
    def centroid(self) -> tuple[float, float]:
        """(x, y) of the centre of mass in pixels of the plane, where pixel 0 reaches from 0 to 1.

        Raises
        ------
        StateError
            The mask is empty.
        """
        if not self.window.area:
            raise StateError(f"Object {self.object_id!r} was not found on this frame, so it has no centre.")
        rows, columns = np.nonzero(self.mask)
        return self.window.left + float(columns.mean()) + 0.5, self.window.top + float(rows.mean()) + 0.5

    def pixels_in(self, window: Window) -> NDArray[np.bool_]:
        """Draw the mask as a window of the plane shows it: (y, x) bool of the window's size."""
        pixels = np.zeros(window.size, dtype=np.bool_)
        shared = self.window & window
        if shared.area:
            pixels[shared.within(window)] = self.mask[shared.within(self.window)]
        return pixels

    def cut_to(self, window: Window) -> ObjectMask:
        """Return the part of the mask that lies in a window."""
        shared = self.window & window
        cut = self.mask[shared.within(self.window)] if shared.area else np.zeros((0, 0), dtype=np.bool_)
        return self.from_pixels(self.object_id, cut, (shared.top, shared.left), self.predicted_iou, self.object_score)

    def overlap(self, other: ObjectMask, window: Window | None = None) -> int:
        """Count the pixels that two masks share, in a window or anywhere."""
        shared = self.window & other.window
        if window is not None:
            shared &= window
        if not shared.area:
            return 0
        return int(np.count_nonzero(self.mask[shared.within(self.window)] & other.mask[shared.within(other.window)]))

    def iou(self, other: ObjectMask) -> float:
        """Intersection over union with another mask; 1 where both are empty."""
        both = self.overlap(other)
        union = self.area + other.area - both
        return both / union if union else 1.0


@dataclass(frozen=True, eq=False)
class PlaneMasks:
    """The masks of all objects on one frame of any size.

    Attributes
    ----------
    frame_index : int
        Index of the frame in the stack, from 0.
    frame_size : (int, int)
        (height, width) of the frame.
    objects : list of ObjectMask
        One for each object, in the order in which they came.
    """

    frame_index: int
    frame_size: tuple[int, int]
    objects: list[ObjectMask]

    @property
    def object_ids(self) -> list[Hashable]:
        """The object ids, in order."""
        return [found.object_id for found in self.objects]

    def __getitem__(self, object_id: Hashable) -> ObjectMask:
        for found in self.objects:
            if found.object_id == object_id:
                return found
        known = ", ".join(repr(known_id) for known_id in self.object_ids) or "none"
        raise KeyError(f"There is no object {object_id!r} on this frame. Its objects: {known}.")

    def masks_in(self, window: Window | None = None) -> NDArray[np.bool_]:
        """Draw all masks as a window shows them: (N, y, x) bool; without a window, the whole frame."""
        window = window or Window(0, 0, *self.frame_size)
        masks = np.zeros((len(self.objects), *window.size), dtype=np.bool_)
        for row, found in enumerate(self.objects):
            masks[row] = found.pixels_in(window)
        return masks

    def labels_in(self, window: Window | None = None) -> NDArray[np.int32]:
        """Draw a label image of a window: the n-th object has n, from 1; where masks overlap the earlier object has it.

        Parameters
        ----------
        window : Window, optional
            Pixels of the frame; the whole frame if not given.

        Returns
        -------
        ndarray of int32
            (y, x), 0 is background.
        """
        window = window or Window(0, 0, *self.frame_size)
        labels = np.zeros(window.size, dtype=np.int32)
        for number in range(len(self.objects), 0, -1):
            found = self.objects[number - 1]
            shared = found.window & window
            if shared.area:
                labels[shared.within(window)][found.mask[shared.within(found.window)]] = number
        return labels


def linked_parts(parts: Mapping[Tile, ObjectMask], near: tuple[float, float] | None = None) -> list[Tile]:
    """Find the tiles whose parts of an object belong together.

    Tracking goes on in each tile by itself. A tile that lost its part and took up something else shows a mask that
    meets the others' nowhere in the halo: it is left out.

    Parameters
    ----------
    parts : mapping of Tile to ObjectMask
        What each tile found, in its window.
    near : (float, float), optional
        Where, as (x, y), the object was on the frame before.

    Returns
    -------
    list of Tile
        The tile whose part is nearest to where the object was, or, if that is not known, the one with the largest part
        in its core; and those linked to it, directly or by others. None where all are empty.
    """
    found = {tile: part for tile, part in parts.items() if part.window.area}
    if not found:
        return []
    if len(found) == 1:
        return list(found)
    if near is None:
        linked = [max(found, key=lambda tile: (found[tile].cut_to(tile.core).area, found[tile].area))]
    else:
        linked = [min(found, key=lambda tile: math.dist(found[tile].centroid, near))]
    for tile in linked:
        linked.extend(
            other
            for other in found
            if other not in linked and found[tile].overlap(found[other], tile.window & other.window)
        )
    return linked


def merged_part(object_id: Hashable, parts: Mapping[Tile, ObjectMask]) -> ObjectMask:
    """Join what several tiles found of one object.

    Parameters
    ----------
    object_id : hashable
        The object.
    parts : mapping of Tile to ObjectMask
        What each tile found, in its window.

    Returns
    -------
    ObjectMask
        In each tile's core what that tile found; where the tile was not asked or found nothing, what its neighbours
        see in their halos. Parts that are not linked to the rest are left out (:func:`linked_parts`).
    """
    if not parts:
        raise InvalidInputError("A mask is joined from at least one part; got none.")
    linked = linked_parts(parts)
    if not linked:
        return replace(next(iter(parts.values())), object_id=object_id)
    anchor = parts[linked[0]]
    if len(linked) == 1:
        return replace(anchor, object_id=object_id)
    around = anchor.window
    for tile in linked[1:]:
        around |= parts[tile].window
    canvas = np.zeros(around.size, dtype=np.bool_)
    for tile in linked:
        part = parts[tile]
        own = part.mask.copy()
        for other in linked:
            claimed = part.window & other.core
            if other != tile and claimed.area:
                own[claimed.within(part.window)] = False
        canvas[part.window.within(around)] |= own
    return ObjectMask.from_pixels(
        object_id, canvas, (around.top, around.left), anchor.predicted_iou, anchor.object_score
    )
