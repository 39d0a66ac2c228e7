"""FrameGrid: frames counted along two axes, one after the other."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass

from sam2_core.errors import InvalidInputError, InvalidTypeError


@dataclass(frozen=True)
class FrameGrid:
    """How the frames of a stack along two axes are numbered: all of the second axis, for each position on the first.

    Attributes
    ----------
    axes : str
        Two letters, such as "tz": frame ``t * sizes[1] + z``.
    sizes : (int, int)
        How many positions each axis has.
    steps : (float, float)
        Physical size of one step along each; 1.0 where it is not known.
    """

    axes: str
    sizes: tuple[int, int]
    steps: tuple[float, float] = (1.0, 1.0)

    def __len__(self) -> int:
        return self.sizes[0] * self.sizes[1]

    def size(self, axis: str) -> int:
        """How many positions an axis has."""
        return self.sizes[self._place(axis)]

    def frame(self, positions: Mapping[str, int]) -> int:
        """The frame at a position on both axes, such as ``{"t": 3, "z": 10}``.

        Raises
        ------
        InvalidInputError, InvalidTypeError
            Other axes than these, or a position that is outside, or no integer.
        """
        if set(positions) != set(self.axes):
            given = ", ".join(positions) or "none"
            raise InvalidInputError(
                f"A frame of this stack has positions on {self.axes[0]} and {self.axes[1]}; got {given}."
            )
        first, second = (self.checked(axis, positions[axis]) for axis in self.axes)
        return first * self.sizes[1] + second

    def position(self, frame: int) -> dict[str, int]:
        """Where a frame lies on both axes; the frame is not checked."""
        first, second = divmod(int(frame), self.sizes[1])
        return {self.axes[0]: first, self.axes[1]: second}

    def line(self, axis: str, frame: int) -> range:
        """The frames along an axis through a frame, in order.

        Raises
        ------
        InvalidInputError
            There is no such axis.
        """
        place = self._place(axis)
        first, second = divmod(int(frame), self.sizes[1])
        if place == 1:
            return range(first * self.sizes[1], (first + 1) * self.sizes[1])
        return range(second, len(self), self.sizes[1])

    def other(self, axis: str) -> str:
        """The other axis."""
        return self.axes[1 - self._place(axis)]

    def checked(self, axis: str, position: int) -> int:
        """Refuse what is no position on an axis."""
        size = self.size(axis)
        try:
            checked = operator.index(position)
        except TypeError:
            raise InvalidTypeError(f"A position on axis {axis} is an integer; got {position!r}.") from None
        if not 0 <= checked < size:
            raise InvalidInputError(f"Axis {axis} has positions 0 to {size - 1}; got {checked}.")
        return checked

    def _place(self, axis: str) -> int:
        if axis not in tuple(self.axes):
            raise InvalidInputError(
                f"The axes of this stack's frames are {self.axes[0]} and {self.axes[1]}; got {axis!r}."
            )
        return self.axes.index(axis)
