"""The shape and meaning of a label stack, as every format stores it."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.volumes.frame_grid import FrameGrid
from sam2_core.volumes.units import unit_name

LABEL_DTYPES = ("uint8", "uint16", "uint32")
MAX_LABEL = 65535  # the largest id of uint16, which most formats are written in unless asked otherwise


@dataclass(frozen=True)
class LabelLayout:
    """What a label stack is, apart from its pixels.

    Parameters
    ----------
    length : int
        Number of frames.
    frame_size : tuple of int
        (height, width).
    axis : str
        What the frames are counted along: "z", "t" or "frame".
    dtype : numpy.dtype
        uint8, uint16 or uint32 when written; any unsigned dtype when read.
    spacing : tuple of float
        Distance of frames, height and width of a pixel: (frame, y, x); 1.0 where unknown.
    unit : str, optional
        Unit of the spacing, such as "micrometer"; along t only y and x have it. Any common spelling is taken, and kept
        as OME-NGFF spells it.
    grid : FrameGrid, optional
        How the frames of z-stacks over time are numbered; `axis` is "tz" then, and the distance of frames that of
        slices. Only formats that say so are asked to write one.
    """

    length: int
    frame_size: tuple[int, int]
    axis: str
    dtype: np.dtype[Any]
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    unit: str | None = None
    grid: FrameGrid | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "unit", unit_name(self.unit))

    @property
    def largest_id(self) -> int:
        """The largest object id that fits the dtype."""
        return int(np.iinfo(self.dtype).max)

    def with_dtype(self, dtype: Any) -> LabelLayout:
        """Return the same layout with another dtype."""
        return replace(self, dtype=np.dtype(dtype))

    def as_json(self) -> dict[str, Any]:
        """Return what :meth:`from_json` reads."""
        grid = {} if self.grid is None else {"grid": [*self.grid.sizes, self.grid.steps[0]]}
        return {
            **grid,
            "length": self.length,
            "frame_size": list(self.frame_size),
            "axis": self.axis,
            "dtype": self.dtype.name,
            "spacing": list(self.spacing),
            "unit": self.unit,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> LabelLayout:
        """Make a layout from what :meth:`as_json` returned; KeyError, TypeError or ValueError for anything else."""
        height, width = (int(side) for side in content["frame_size"])
        frame, y, x = (float(step) for step in content.get("spacing") or (1.0, 1.0, 1.0))
        given = content.get("grid")
        return cls(
            length=int(content["length"]),
            frame_size=(height, width),
            axis=str(content["axis"]),
            dtype=np.dtype(content["dtype"]),
            spacing=(frame, y, x),
            unit=content.get("unit"),
            grid=None if given is None else FrameGrid("tz", (int(given[0]), int(given[1])), (float(given[2]), frame)),
        )

    def require_continues(self, existing: LabelLayout, name: str, *, check_dtype: bool) -> None:
        """Refuse to continue a destination that is something else.

        Raises
        ------
        InvalidInputError
            Length, frame size, axis or (if asked for) dtype differ.
        """
        ours, theirs = self._identity(check_dtype), existing._identity(check_dtype)
        if ours != theirs:
            raise InvalidInputError(
                f"{name} cannot be continued: it holds {theirs}, to be written are {ours}. Choose another destination, "
                "or overwrite it."
            )

    def _identity(self, with_dtype: bool) -> str:
        # a stack whose frames are just "frames" is stored along z where a format has to name an axis
        axis = "t" if self.axis == "t" or self.length == 1 else "z"
        along = f" along {axis}" if self.length > 1 else ""
        if self.grid is not None:
            along = f" along t ({self.grid.sizes[0]}) and z ({self.grid.sizes[1]})"
        kind = f", {self.dtype}" if with_dtype else ""
        return f"{self.length} frames{along} of {self.frame_size[0]} x {self.frame_size[1]} (height x width){kind}"


def checked_layout(
    length: int,
    frame_size: Sequence[int],
    axis: str,
    dtype: object,
    spacing: Sequence[float] | None,
    unit: str | None,
    grid: FrameGrid | None = None,
) -> LabelLayout:
    """Make a layout from what a caller gave.

    Raises
    ------
    InvalidInputError, InvalidTypeError
        No frames, no pixels, an unknown axis or dtype, or a spacing that is not three positive numbers.
    """
    try:
        frame_count, sides = operator.index(length), tuple(operator.index(side) for side in frame_size)
    except TypeError:
        raise InvalidTypeError(f"length and frame_size must be integers; got {length!r} and {frame_size!r}.") from None
    if len(sides) != 2 or frame_count < 1 or min(sides) < 1:
        raise InvalidInputError(
            f"A label stack needs at least one frame of (height, width) of at least one pixel; got {frame_count} "
            f"frames of {sides}."
        )
    if grid is not None and (len(grid) != frame_count or (axis, grid.axes) != ("tz", "tz")):
        raise InvalidInputError(
            f'A grid is of as many frames as there are, and of the axes "tz"; got one of {len(grid)} frames along '
            f"{grid.axes!r} for {frame_count} along {axis!r}."
        )
    if grid is None and axis not in ("z", "t", "frame"):
        raise InvalidInputError(f'axis must be "z", "t" or "frame"; got {axis!r}.')
    try:
        label_dtype = np.dtype(dtype)  # type: ignore[call-overload]
    except TypeError:
        raise InvalidTypeError(f"dtype must be one of {', '.join(LABEL_DTYPES)}; got {dtype!r}.") from None
    if label_dtype.name not in LABEL_DTYPES:
        raise InvalidInputError(f"dtype must be one of {', '.join(LABEL_DTYPES)}; got {label_dtype}.")
    try:
        steps = tuple(float(step) for step in spacing) if spacing is not None else (1.0, 1.0, 1.0)
    except (TypeError, ValueError):
        raise InvalidTypeError(f"spacing must be three positive numbers (frame, y, x); got {spacing!r}.") from None
    if len(steps) != 3 or not all(np.isfinite(step) and step > 0 for step in steps):
        raise InvalidInputError(f"spacing must be three positive numbers (frame, y, x); got {spacing!r}.")
    return LabelLayout(
        frame_count,
        (sides[0], sides[1]),
        axis,
        label_dtype.newbyteorder("="),
        (steps[0], steps[1], steps[2]),
        unit,
        grid,
    )
