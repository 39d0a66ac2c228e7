"""Plans of drawn cells across frames: a still image, a z-stack, a time-lapse.

A plan is, for each frame, the list of outlines visible in it. Cells keep their label for the whole stack; a cell that
has ended (out of the z range of its body, dead, or gone over the border) has no outline in the frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from sam2_core.errors import InvalidInputError
from sam2_core.training.generator.shapes import Outline

StackKind = Literal["still", "z", "time"]


@dataclass(frozen=True)
class Population:
    """What the cells of one scene have in common.

    Attributes
    ----------
    radius
        Mean cell radius in pixels.
    spread
        Relative standard deviation of the radius between cells.
    elongation
        Largest ratio of long to short axis.
    rods
        Fraction of the cells that are rods.
    waviness
        Amplitude of the waves on the outline, fraction of the radius.
    gap
        Smallest distance between centres, in units of the sum of the two radii; below 1 cells touch.
    count
        Most cells placed.
    clumping
        Fraction of the cells that are put beside an earlier one, touching it if `gap` is 1 or less.
    condensed
        Fraction of the cells that are small, bright and uneven in outline, as if dividing or dying.
    height
        Mean half height in slices of cells that fill a volume, beside and above one another (`plan_tissue`, z-stacks
        alone); 0 for one layer of cells.
    motion
        What the fastest cells of a time-lapse move by from frame to frame, in widths of theirs (`plan_motion`); 0 for
        cells that hardly move.
    dividing, turnover
        Fractions of the cells on the move that divide once, and that die or come in over the border (`plan_motion`).
    filaments
        Fraction of the cells that are drawn as filaments: rods ten times as long as wide and more, bent.
    """

    radius: float
    spread: float
    elongation: float
    rods: float
    waviness: float
    gap: float
    count: int
    clumping: float = 0.0
    condensed: float = 0.0
    height: float = 0.0
    motion: float = 0.0
    dividing: float = 0.0
    turnover: float = 0.0
    filaments: float = 0.0


def random_population(random: np.random.Generator, size: tuple[int, int]) -> Population:
    """A population whose cells are 3 to 25 % of the frame's shorter side across, from sparse to touching."""
    shorter = min(size)
    radius = float(np.exp(random.uniform(np.log(0.022), np.log(0.13)))) * shorter
    room = size[0] * size[1] / (np.pi * radius**2)
    return Population(
        radius=radius,
        spread=float(random.uniform(0.05, 0.35)),
        elongation=float(random.choice([1.15, 1.5, 2.2])),
        rods=float(random.choice([0.0, 0.0, 0.0, 0.2, 1.0])),
        waviness=float(random.choice([0.02, 0.06, 0.14])),
        gap=float(random.uniform(0.72, 1.25)),
        count=int(np.clip(room * random.uniform(0.05, 0.95), 1, 220)),
    )


def place_cells(random: np.random.Generator, population: Population, size: tuple[int, int]) -> list[Outline]:
    """Throw cells on the frame, keeping centres `population.gap` apart.

    Parameters
    ----------
    random
        Source of randomness.
    population
        What the cells have in common.
    size
        (height, width) in pixels; centres may lie up to half a radius outside.

    Returns
    -------
    list of Outline
        At least one cell, labelled from 1.
    """
    placed: list[Outline] = []
    centres = np.zeros((0, 2), dtype=np.float32)
    reaches = np.zeros(0, dtype=np.float32)
    margin = 0.5 * population.radius
    for _ in range(3 * population.count):
        if len(placed) == population.count:
            break
        radius = population.radius * float(np.clip(random.normal(1.0, population.spread), 0.4, 2.0))
        ratio = float(random.uniform(1.0, population.elongation))
        rod = bool(random.random() < population.rods)
        if rod:
            ratio = float(random.uniform(1.8, 4.5))
        filament = bool(population.filaments) and bool(random.random() < population.filaments)
        if filament:
            ratio = float(random.uniform(12.0, 40.0))
        along, across = radius * ratio**0.5, radius / ratio**0.5
        y, x = random.uniform(-margin, size[0] + margin), random.uniform(-margin, size[1] + margin)
        waviness, glow = population.waviness, 1.0
        if population.condensed and random.random() < population.condensed:
            shrink = random.uniform(0.5, 0.8)
            along, across, waviness = along * shrink, across * shrink, waviness + 0.08
            glow = float(random.uniform(2.0, 7.0))
        reach = np.float32((along + across) / 2)
        if population.clumping and len(placed) and random.random() < population.clumping:
            beside = int(random.integers(len(placed)))
            apart = population.gap * float(reaches[beside] + reach) * random.uniform(1.0, 1.12)
            direction = random.uniform(0, 2 * np.pi)
            y = float(centres[beside, 0]) + apart * np.sin(direction)
            x = float(centres[beside, 1]) + apart * np.cos(direction)
            if not (-margin <= y <= size[0] + margin and -margin <= x <= size[1] + margin):
                continue
        if len(placed):
            near = np.hypot(centres[:, 0] - y, centres[:, 1] - x) < population.gap * (reaches + reach)
            if bool(near.any()):
                continue
        waves = np.stack([random.normal(0, 1, 4), random.uniform(0, 2 * np.pi, 4)], axis=1)
        waves[:, 0] *= waviness / np.arange(1, 5)
        placed.append(
            Outline(
                label=len(placed) + 1,
                centre=(float(y), float(x)),
                radii=(along, across),
                angle=float(random.uniform(0, np.pi)),
                waves=waves.astype(np.float32),
                rod=rod or filament,
                bend=float(random.normal(0, 0.2)) if rod or filament else 0.0,
                glow=glow,
            )
        )
        centres = np.concatenate([centres, np.array([[y, x]], dtype=np.float32)])
        reaches = np.append(reaches, reach)
    if not placed:
        raise InvalidInputError(f"No cell fits a frame of {size}; use a smaller radius or a larger frame.")
    return placed


def plan_z(random: np.random.Generator, cells: list[Outline], frames: int) -> list[list[Outline]]:
    """Sections of wavy ellipsoids: a cell grows from nothing to its full outline and back along z.

    Parameters
    ----------
    random
        Source of randomness.
    cells
        The cells at their largest.
    frames
        Number of slices.

    Returns
    -------
    list of list of Outline
        One list for each slice, z ascending.
    """
    # Half height of a cell in slices: flat cells last a few slices, tall ones outlast the stack.
    height = float(random.uniform(0.35, 1.6)) * max(frames, 4)
    plan: list[list[Outline]] = [[] for _ in range(frames)]
    for cell in cells:
        half = height * float(random.uniform(0.6, 1.3))
        middle = float(random.uniform(-0.25 * frames, 1.25 * frames))
        add_sections(random, plan, cell, middle, half)
    return plan


def add_sections(
    random: np.random.Generator, plan: list[list[Outline]], cell: Outline, middle: float, half: float
) -> None:
    """Put the sections of a wavy ellipsoid that leans and turns into the slices of a plan.

    Parameters
    ----------
    random
        Source of randomness.
    plan
        One list for each slice; added to.
    cell
        The cell at its largest.
    middle, half
        Slice of its middle, which may lie outside the stack, and half its height, in slices.
    """
    tilt = random.normal(0, 0.35 * cell.radii[1] / max(half, 1.0), 2)
    turn = float(random.normal(0, 0.25 / max(half, 1.0)))
    drift = random.normal(0, 0.4 / max(half, 1.0), len(cell.waves))
    for z, outlines in enumerate(plan):
        away = z - middle
        # A superellipse: a nucleus keeps much of its width until near its top and bottom.
        section = 1.0 - abs(away / half) ** 2.5
        if section <= 0.04:
            continue
        waves = cell.waves.copy()
        waves[:, 1] += (drift * away).astype(np.float32)
        moved = replace(
            cell,
            centre=(cell.centre[0] + float(tilt[0]) * away, cell.centre[1] + float(tilt[1]) * away),
            angle=cell.angle + turn * away,
            waves=waves,
        )
        outlines.append(moved.scaled(section**0.5))


def plan_time(random: np.random.Generator, cells: list[Outline], frames: int) -> list[list[Outline]]:
    """Cells that drift, turn, grow and change shape; some die, some come late.

    Parameters
    ----------
    random
        Source of randomness.
    cells
        The cells in the first frame.
    frames
        Number of time points.

    Returns
    -------
    list of list of Outline
        One list for each time point.
    """
    common = random.normal(0, 0.12, 2)
    speed = float(random.choice([0.03, 0.1, 0.25]))
    jitter = float(random.choice([0.0, 0.02, 0.05]))
    plan: list[list[Outline]] = [[] for _ in range(frames)]
    for cell in cells:
        size = (cell.radii[0] * cell.radii[1]) ** 0.5
        velocity = (common + random.normal(0, speed, 2)) * size
        growth = float(random.normal(1.0, 0.02))
        turn = float(random.normal(0, 0.08))
        first = int(random.integers(1, frames)) if frames > 1 and random.random() < 0.08 else 0
        last = int(random.integers(0, frames - 1)) if frames > 1 and random.random() < 0.12 else frames - 1
        now = cell
        for time in range(frames):
            if first <= time <= last:
                plan[time].append(now)
            velocity = 0.8 * velocity + random.normal(0, jitter + speed * 0.3, 2) * size
            waves = now.waves.copy()
            waves[:, 1] += random.normal(0, 0.15, len(waves)).astype(np.float32)
            step = velocity + random.normal(0, jitter, 2) * size
            now = replace(
                now,
                centre=(now.centre[0] + float(step[0]), now.centre[1] + float(step[1])),
                angle=now.angle + turn + float(random.normal(0, 0.03)),
                waves=waves,
            ).scaled(growth * float(np.exp(random.normal(0, 0.015))))
    return plan


def plan_frames(random: np.random.Generator, cells: list[Outline], frames: int, kind: StackKind) -> list[list[Outline]]:
    """The cells of each frame.

    Parameters
    ----------
    random
        Source of randomness.
    cells
        The cells of the scene.
    frames
        Number of frames, 1 or more.
    kind
        "still" (the same cells in every frame), "z" or "time".

    Returns
    -------
    list of list of Outline
        One list for each frame.

    Raises
    ------
    InvalidInputError
        If `frames` is not positive or `kind` is none of the three.
    """
    if frames < 1:
        raise InvalidInputError(f"A stack needs at least one frame, got {frames}.")
    if kind == "still":
        return [list(cells) for _ in range(frames)]
    if kind == "z":
        return plan_z(random, cells, frames)
    if kind == "time":
        return plan_time(random, cells, frames)
    raise InvalidInputError(f"kind must be 'still', 'z' or 'time', got {kind!r}.")
