"""What tracking costs, exact or in parts, and which cheaper way there really is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sam2_core.cli.prompts import FramePrompt, ObjectPrompts
from sam2_core.cli.track_plan import Stretch

if TYPE_CHECKING:
    from sam2_core.inference.tile_grid import TileGrid

#: Inputs smaller than this are not suggested: cells vanish in the model's grid of 16 pixels.
SMALLEST_SUGGESTED = 256
_MULTIPLE = 32


@dataclass(frozen=True)
class TrackCost:
    """Seconds that the parts of tracking take, as measured.

    Attributes
    ----------
    per_picture : float
        To look at a picture of the size of the model's input, whatever the objects.
    per_step : float
        To carry one object on by one picture.
    """

    per_picture: float
    per_step: float

    def seconds(self, pictures: int, steps: int) -> float:
        """Seconds for so many pictures and steps."""
        return pictures * self.per_picture + steps * self.per_step

    def with_smaller_input(self, input_size: tuple[int, int]) -> tuple[int, TrackCost] | None:
        """About half the input's side, and what things cost there; None where that is too small to be of use.

        Both costs go by the number of pixels.

        Parameters
        ----------
        input_size : (int, int)
            (height, width) of the model's input.
        """
        side = max(input_size) // 2 // _MULTIPLE * _MULTIPLE
        if side < SMALLEST_SUGGESTED or input_size[0] != input_size[1]:
            return None
        share = (side / input_size[0]) ** 2
        return side, TrackCost(self.per_picture * share, self.per_step * share)


def object_steps(stretches: Sequence[Stretch]) -> int:
    """By how many frames objects are carried on, all objects together."""
    return sum(stretch.count * len(stretch.object_ids) for stretch in stretches)


def work_in_tiles(
    stretches: Sequence[Stretch], objects: Sequence[ObjectPrompts], grid: TileGrid
) -> tuple[int, int, bool]:
    """Count the tiles to look at, and the steps of objects in them.

    Objects are taken to stay where they are prompted.

    Returns
    -------
    (int, int, bool)
        Tiles and steps; and whether the extent of all objects is known. A click says that of one tile alone.
    """
    tiles: Mapping[int, Set[int]] = {
        one.object_id: {tile for prompt in one.frames.values() for tile in _tiles(prompt, grid)} for one in objects
    }
    pictures = steps = 0
    for stretch in stretches:
        taken = [tiles[object_id] for object_id in stretch.object_ids]
        pictures += stretch.count * len(set().union(*taken))
        steps += stretch.count * sum(map(len, taken))
    is_known = all(prompt.mask or prompt.box for one in objects for prompt in one.frames.values())
    return pictures, steps, is_known


def _tiles(prompt: FramePrompt, grid: TileGrid) -> list[int]:
    """The tiles that a prompted object lies in: the middle one alone, where that sees all of it."""
    from sam2_core.inference.tile_grid import Window

    if prompt.mask is not None:
        height, width = prompt.mask.shape
        window = Window(prompt.mask.top, prompt.mask.left, prompt.mask.top + height, prompt.mask.left + width)
    elif prompt.box is not None:
        left, top, right, bottom = prompt.box
        window = Window(int(top), int(left), math.ceil(bottom), math.ceil(right))
    else:
        window = Window(0, 0, 0, 0)
    window &= Window(0, 0, *grid.frame_size)
    if not window.area:
        clicked = zip(prompt.points, prompt.labels, strict=True)
        return sorted({grid.at(x, y).index for (x, y), label in clicked if label})
    home = grid.at(*window.centre)
    return [home.index] if home.window.holds(window) else [tile.index for tile in grid.cores_touching(window)]
