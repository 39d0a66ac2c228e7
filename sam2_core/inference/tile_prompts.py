"""Prompts on a plane, checked and cut to a window before anything is changed."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from sam2_core.errors import InvalidInputError
from sam2_core.inference.plane_object import PlanePrompt
from sam2_core.inference.tile_grid import Window
from sam2_core.inference.tile_masks import ObjectMask
from sam2_core.inference.video_prompts import BOX_CORNER_LABELS, mask_prompt, point_prompts


def checked_plane_prompt(
    points: Any, labels: Any, box: Any, frame_size: tuple[int, int], *, replaces: bool
) -> PlanePrompt:
    """Check points and a box.

    Parameters
    ----------
    points, labels, box : array_like or None
        In pixels of the plane; see :func:`~sam2_core.inference.video_prompts.point_prompts`.
    frame_size : (int, int)
        (height, width) of the plane.
    replaces : bool
        Whether they replace earlier ones.

    Raises
    ------
    InvalidTypeError, InvalidInputError
        As there; or a box that would be added to points.
    """
    if box is not None and not replaces:
        raise InvalidInputError(
            "A box comes before any point and replaces those given earlier: pass clear_old_points=True with it."
        )
    # of an input as large as the plane, coordinates are the plane's
    checked = point_prompts(points, labels, box, frame_size=frame_size, input_size=frame_size, normalize_coords=True)
    coords, values = checked.coords[0].numpy(), checked.labels[0].numpy()
    is_corner = np.isin(values, BOX_CORNER_LABELS)
    corners = coords[is_corner].reshape(-1).tolist()
    return PlanePrompt(
        points=coords[~is_corner],
        labels=values[~is_corner],
        box=(corners[0], corners[1], corners[2], corners[3]) if corners else None,
        replaces=replaces,
    )


def checked_plane_mask(
    mask: Any, origin: tuple[int, int] | None, frame_size: tuple[int, int], object_id: Hashable
) -> ObjectMask:
    """Check a mask.

    Parameters
    ----------
    mask : array_like or ObjectMask
        (y, x).
    origin : (int, int) or None
        (x, y) of its first pixel in the plane; None for a mask of the plane's size.
    frame_size : (int, int)
        (height, width) of the plane.
    object_id : hashable
        The object it shows.

    Raises
    ------
    InvalidTypeError, InvalidInputError
        Not a mask, of another size than the plane without saying where it lies, empty, or outside the plane.
    """
    if isinstance(mask, ObjectMask):
        given = ObjectMask(object_id, mask.window, mask.mask)
    else:
        shape = np.shape(mask)
        if origin is None and shape != frame_size and len(shape) == 2:
            raise InvalidInputError(
                f"The mask is {shape[0]}x{shape[1]} (height x width), the plane {frame_size[0]}x{frame_size[1]}. Say "
                "with origin=(x, y) where a smaller mask's first pixel lies."
            )
        size = (shape[0], shape[1]) if len(shape) == 2 else frame_size
        pixels = mask_prompt(mask, frame_size=size, input_size=size)[0, 0].numpy() >= 0.5
        x, y = origin or (0, 0)
        given = ObjectMask.from_pixels(object_id, pixels, (int(y), int(x)))
    if not given.window.area:
        raise InvalidInputError("The mask is empty: it says of no pixel that the object covers it.")
    if not Window(0, 0, *frame_size).holds(given.window):
        raise InvalidInputError(
            f"The mask covers x from {given.box[0]} to {given.box[2]} and y from {given.box[1]} to {given.box[3]}, "
            f"beyond the plane of {frame_size[0]} x {frame_size[1]} (height x width). Check origin=(x, y)."
        )
    return given


def prompt_in_window(prompt: PlanePrompt, window: Window) -> PlanePrompt | None:
    """Cut points and a box to what a window shows of them.

    Returns
    -------
    PlanePrompt or None
        In pixels of the plane, as before; None where nothing of it lies in the window.
    """
    x0, y0, x1, y1 = window.box
    points = prompt.points
    inside = (points[:, 0] >= x0) & (points[:, 0] <= x1) & (points[:, 1] >= y0) & (points[:, 1] <= y1)
    box = prompt.box
    if box is not None:
        # a box may run over the frame's border, and does so over a window's as well
        box = box if box[0] < x1 and box[1] < y1 and box[2] > x0 and box[3] > y0 else None
    if box is None and not inside.any():
        return None
    return PlanePrompt(points[inside], prompt.labels[inside], box, replaces=prompt.replaces)
