"""What tracking costs, exact or in parts, and which cheaper way there really is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sam2_core.cli.prompts import FramePrompt, ObjectPrompts
from sam2_core.cli.track_plan import Stretch

if TYPE_CHECKING:
    from sam2_core.inference.tile_grid import TileGrid
    from sam2_core.inference.video_predictor import SAM2VideoPredictor

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

    @classmethod
    def measured(cls, predictor: SAM2VideoPredictor) -> TrackCost:
        """Measure them, on this machine as it is loaded now, on an empty picture."""
        # what is in a picture makes no difference to how long it takes
        blank = predictor.init_state(np.zeros((1, *predictor.input_size), np.uint8))
        try:
            estimate = predictor.estimate(blank, 1, 1)
        finally:
            blank.close()
        return cls(estimate.seconds_per_frame, estimate.seconds_per_object)

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


@dataclass(frozen=True)
class TileWork:
    """What there is to do in tiles.

    Attributes
    ----------
    looks : int
        How often a tile of a frame is looked at.
    pictures : list of (int, int)
        The tiles that are looked at, each once: the frame, and the tile.
    steps : int
        By how many tiles and frames objects are carried on, all objects together.
    is_extent_known : bool
        Whether the extent of all objects is known. A click says that of one tile alone.
    """

    looks: int
    pictures: list[tuple[int, int]]
    steps: int
    is_extent_known: bool


def looked_at_frames(stretches: Sequence[Stretch]) -> list[int]:
    """List the frames that are looked at, each once."""
    return sorted(set().union(*(stretch.frames for stretch in stretches)))


def object_steps(stretches: Sequence[Stretch]) -> int:
    """By how many frames objects are carried on, all objects together."""
    return sum(stretch.count * len(stretch.object_ids) for stretch in stretches)


def work_in_tiles(stretches: Sequence[Stretch], objects: Sequence[ObjectPrompts], grid: TileGrid) -> TileWork:
    """Count the tiles to look at, and the steps of objects in them, which are taken to stay where they are prompted."""
    tiles: Mapping[int, Set[int]] = {
        one.object_id: {tile for prompt in one.frames.values() for tile in _tiles(prompt, grid)} for one in objects
    }
    looks = steps = 0
    seen: dict[int, set[int]] = {}
    for stretch in stretches:
        taken = [tiles[object_id] for object_id in stretch.object_ids]
        together = set().union(*taken)
        looks += stretch.count * len(together)
        steps += stretch.count * sum(map(len, taken))
        for frame in stretch.frames:
            seen.setdefault(frame, set()).update(together)
    is_known = all(prompt.mask or prompt.box for one in objects for prompt in one.frames.values())
    return TileWork(looks, [(frame, tile) for frame in sorted(seen) for tile in sorted(seen[frame])], steps, is_known)


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
