"""Where the frames of a session lie in the data of a layer, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError

AXES: Final = "tczyx"
#: Axes of layers that do not say what theirs are, by their number; people can choose others.
USUAL_AXES: Final = {2: "yx", 3: "zyx", 4: "tzyx", 5: "tczyx"}
#: What frames are counted along, where nobody chose: the first of these that the image has.
USUAL_ORDER: Final = "zt"
_WORDS: Final = {"time": "t", "channel": "c", "depth": "z", "plane": "z", "row": "y", "column": "x"}


@dataclass(frozen=True)
class FramePlacement:
    """Which of a layer's dimensions are the frames', and where the others stand.

    Positions are in the layer's data, in the order of its dimensions; points are (x, y) in pixels of a frame.

    Attributes
    ----------
    axes : str
        A letter of "tczyx" for each dimension, in the layer's order.
    shape : tuple of int
        Size of each.
    along : str
        What frames are counted along; empty for a picture, two letters such as "tz" for z-stacks over time, of which
        the second runs fastest.
    plane : str
        Rows and columns of a frame, such as "yx" or "zx".
    at : mapping of str to int
        Position on every other axis but the channels.
    """

    axes: str
    shape: tuple[int, ...]
    along: str
    plane: str
    at: Mapping[str, int]

    @classmethod
    def of(
        cls, axes: str, shape: Sequence[int], *, along: str | None = None, plane: str = "yx", at: Mapping[str, int]
    ) -> FramePlacement:
        """Place frames; `along` is the first of z and t by default, and positions that are not named are 0.

        Raises
        ------
        InvalidInputError
            Axes that do not fit the layer, or a plane that goes along the frames.
        """
        letters = axes.strip().lower()
        if len(letters) != len(shape) or len(set(letters)) != len(letters) or not set(letters) <= set(AXES):
            raise InvalidInputError(
                f"The layer has {len(shape)} dimensions of sizes {tuple(shape)}; name each with another letter of "
                f't, c, z, y, x, such as "{USUAL_AXES.get(len(shape), "zyx")}". Got {axes!r}.'
            )
        if not set(plane) <= set(letters):
            raise InvalidInputError(f"A frame's rows and columns are {plane}; the layer's axes are {letters}.")
        left = [one for one in letters if one not in plane and one != "c"]
        if along is None:
            along = next((one for one in USUAL_ORDER if one in left), left[0] if left else "")
        if not set(along) <= set(left):
            raise InvalidInputError(
                f"Frames of rows and columns {plane} cannot be counted along {along!r}; choose of {', '.join(left)}."
            )
        others = {one: int(at.get(one, 0)) for one in left if one not in along}
        return cls(letters, tuple(int(size) for size in shape), along, plane, others)

    @property
    def frame_count(self) -> int:
        """How many frames there are."""
        return math.prod(self.frame_sizes)

    @property
    def frame_sizes(self) -> tuple[int, ...]:
        """How many there are along each axis of `along`."""
        return tuple(self._size(letter) for letter in self.along)

    @property
    def frame_size(self) -> tuple[int, int]:
        """(height, width)."""
        return self._size(self.plane[0]), self._size(self.plane[1])

    @property
    def plane_dimensions(self) -> tuple[int, int]:
        """Numbers of the layer's dimensions that are rows and columns."""
        return self.axes.index(self.plane[0]), self.axes.index(self.plane[1])

    def frame_at(self, position: Sequence[float] | NDArray[Any]) -> int | None:
        """Number of the frame at a position of the data; None if it is in none."""
        for letter, value in self.at.items():
            if round(float(position[self.axes.index(letter)])) != value:
                return None
        places = [round(float(position[self.axes.index(letter)])) for letter in self.along]
        if not all(0 <= place < size for place, size in zip(places, self.frame_sizes, strict=True)):
            return None
        return int(self.numbers(places))

    def numbers(self, places: Sequence[Any]) -> Any:
        """Numbers of the frames at places along each axis of `along`, given as integers or as arrays of them."""
        found: Any = 0
        for place, size in zip(places, self.frame_sizes, strict=True):
            found = found * size + place
        return found

    def places(self, frame: int) -> dict[str, int]:
        """Where a frame is on each axis of `along`."""
        found = {}
        for letter, size in reversed(list(zip(self.along, self.frame_sizes, strict=True))):
            frame, found[letter] = divmod(frame, size)
        return {letter: found[letter] for letter in self.along}

    def named(self, frame: int) -> str:
        """A frame, for people to read."""
        if len(self.along) < 2:
            return f"frame {frame}"
        return ", ".join(f"{letter} {place}" for letter, place in self.places(frame).items())

    def point_at(self, position: Sequence[float] | NDArray[Any]) -> tuple[float, float]:
        """A position of the data as (x, y) in its frame."""
        rows, columns = self.plane_dimensions
        return float(position[columns]), float(position[rows])

    def positions(self, frame: int, points: Any, channel: int = 0) -> NDArray[np.float64]:
        """Points (n, 2) of (x, y) in a frame as positions (n, dimension) in the data."""
        given = np.asarray(points, dtype=float).reshape(-1, 2)
        found = np.zeros((len(given), len(self.axes)))
        rows, columns = self.plane_dimensions
        found[:, columns], found[:, rows] = given[:, 0], given[:, 1]
        for letter, value in {**self.places(frame), **self.at}.items():
            found[:, self.axes.index(letter)] = value
        if "c" in self.axes:
            found[:, self.axes.index("c")] = channel
        return found

    def is_in_plane(self, displayed: Sequence[int]) -> bool:
        """Whether the dimensions that a viewer shows are a frame's rows and columns, in either order."""
        return set(displayed) == set(self.plane_dimensions)

    def _size(self, letter: str) -> int:
        return self.shape[self.axes.index(letter)]


def guessed_axes(axis_labels: Sequence[str], shape: Sequence[int]) -> str:
    """Letters for the dimensions of a layer: from its axis labels where they say so, else the usual ones."""
    words = [str(label).strip().lower() for label in axis_labels]
    letters = [_WORDS.get(word, word) for word in words]
    if len(letters) == len(shape) and set(letters) <= set(AXES) and len(set(letters)) == len(letters):
        return "".join(letters)
    count = len(shape)
    if count == 3 and shape[0] <= 4 < min(shape[1:]):
        # few and large planes are rather channels than slices
        return "cyx"
    return USUAL_AXES.get(count, AXES[-count:] if count < len(AXES) else AXES)
