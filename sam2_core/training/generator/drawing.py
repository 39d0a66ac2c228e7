"""Draw a microscopy stack and its truth from a seed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.training.generator.motion import plan_motion
from sam2_core.training.generator.shapes import LabelArray, draw_labels
from sam2_core.training.generator.stacks import (
    Population,
    StackKind,
    place_cells,
    plan_frames,
    random_population,
)
from sam2_core.training.generator.textures import Appearance, random_appearance, render, stretch
from sam2_core.training.generator.tissue import plan_tissue

_SMALLEST_SIDE = 16


@dataclass(frozen=True)
class DrawnStack:
    """A drawn stack and its truth.

    Attributes
    ----------
    image
        (frame, y, x) uint8 grey values; frame is z or t.
    labels
        (frame, y, x) uint16; 0 is background, a cell has the same number in every frame.
    kind
        What the frames are: "still", "z" or "time".
    population, appearance
        What was drawn and how.
    parents
        For each cell that came from a division, by its label: the label of its mother.
    """

    image: NDArray[np.uint8]
    labels: LabelArray
    kind: StackKind
    population: Population
    appearance: Appearance
    parents: dict[int, int] = field(default_factory=dict)


def draw_stack(
    seed: int | np.random.Generator,
    *,
    frames: int = 1,
    size: tuple[int, int] = (256, 256),
    kind: StackKind = "z",
    population: Population | None = None,
    appearance: Appearance | None = None,
) -> DrawnStack:
    """Draw a stack of cells with its labels; the same seed and arguments give the same stack.

    Parameters
    ----------
    seed
        An integer, or a generator to go on drawing from.
    frames
        Number of frames, 1 or more.
    size
        (height, width) in pixels, 16 or more each.
    kind
        "still", "z" (slices through cells that begin and end) or "time" (cells that move).
    population, appearance
        What to draw and how; drawn at random if not given.

    Returns
    -------
    DrawnStack
        Image (frame, y, x) uint8 and labels (frame, y, x) uint16.

    Raises
    ------
    InvalidInputError
        If `size` or `frames` is too small, `kind` unknown, or a population that fills a volume (or is on the move) is
        asked for as another kind than "z" (or "time").
    """
    if min(size) < _SMALLEST_SIDE:
        raise InvalidInputError(f"size must be at least {_SMALLEST_SIDE} pixels each way, got {size}.")
    random = seed if isinstance(seed, np.random.Generator) else np.random.default_rng(seed)
    people = population or random_population(random, size)
    look = appearance or random_appearance(random, people.radius)
    if people.height and (kind != "z" or frames < 1):
        raise InvalidInputError(
            f'Cells that fill a volume are drawn as 1 or more slices, kind "z"; got {frames}, {kind!r}.'
        )
    if people.motion and (kind != "time" or frames < 1):
        raise InvalidInputError(
            f'Cells on the move are drawn at 1 or more time points, kind "time"; got {frames}, {kind!r}.'
        )
    if people.height:
        plan = plan_tissue(random, people, size, frames)
    elif people.motion:
        plan = plan_motion(random, people, size, frames)
    else:
        plan = plan_frames(random, place_cells(random, people, size), frames, kind)
    drawn = [draw_labels(outlines, size) for outlines in plan]
    glow = np.ones(1 + max(outline.label for outlines in plan for outline in outlines), dtype=np.float32)
    for outline in (outline for outlines in plan for outline in outlines):
        glow[outline.label] = outline.glow
    light = render(random, drawn, look, along_z=kind == "z", glow=glow)
    labels = np.stack([frame.labels for frame in drawn])
    parents = {one.label: one.parent for outlines in plan for one in outlines if one.parent}
    return DrawnStack(stretch(random, light), labels, kind, people, look, parents)
