"""Time-lapses of cells on the move: each goes its own way, by up to its width from one frame to the next."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sam2_core.errors import InvalidInputError
from sam2_core.training.generator.nuclei import random_nuclei
from sam2_core.training.generator.shapes import Outline
from sam2_core.training.generator.stacks import Population, place_cells, random_population
from sam2_core.training.generator.textures import Appearance, random_appearance

_TRIES = 4


def random_motion(random: np.random.Generator, size: tuple[int, int]) -> tuple[Population, Appearance]:
    """Draw nuclei or other cells with room to move, and how they are recorded.

    Parameters
    ----------
    random : numpy Generator
    size : (int, int)
        (height, width) of the frame in pixels.

    Returns
    -------
    Population, Appearance
    """
    if random.random() < 0.5:
        people, look = random_nuclei(random, size)
    else:
        people = random_population(random, size)
        look = random_appearance(random, people.radius)
    room = size[0] * size[1] / (np.pi * people.radius**2)
    count = int(np.clip(room * random.uniform(0.02, 0.35), 1, 150))
    return replace(people, count=count, motion=float(random.uniform(0.1, 1.0))), look


def plan_motion(
    random: np.random.Generator, population: Population, size: tuple[int, int], frames: int
) -> list[list[Outline]]:
    """Cells that go on in the direction they have, turn, and step aside for one another.

    Parameters
    ----------
    random : numpy Generator
    population : Population
        `motion` is what the fastest cells move by from frame to frame, in widths; `gap` holds in every frame.
    size : (int, int)
        (height, width) of the frame in pixels. One cell in four may leave it, the others turn round.
    frames : int
        Number of time points.

    Returns
    -------
    list of list of Outline
        One list for each time point.

    Raises
    ------
    InvalidInputError
        If `population.motion` is not positive.
    """
    if not population.motion > 0:
        raise InvalidInputError(f"Cells on the move need a motion of more than 0, got {population.motion}.")
    cells = place_cells(random, population, size)
    centres = np.array([cell.centre for cell in cells])
    reaches = np.array([sum(cell.radii) / 2 for cell in cells])
    # One in five rests: a cell that moves is told from its neighbours by moving.
    pace = 2 * reaches * population.motion * random.uniform(0.3, 1.0, len(cells))
    pace[random.random(len(cells)) < 0.2] *= 0.1
    heading = random.uniform(0, 2 * np.pi, len(cells))
    stays = random.random(len(cells)) < 0.75
    turn, spin = random.normal(0, 0.06, len(cells)), float(random.choice([0.1, 0.3, 0.6]))
    plan = [cells]
    for _ in range(1, frames):
        for at in range(len(cells)):
            for _ in range(_TRIES):
                way = heading[at] + random.normal(0, spin)
                step = pace[at] * float(random.uniform(0.7, 1.0))
                goal = centres[at] + step * np.array([np.sin(way), np.cos(way)])
                outside = bool((goal < 0).any() or (goal > np.array(size)).any())
                apart = np.hypot(*(centres - goal).T) >= population.gap * (reaches + reaches[at])
                apart[at] = True
                if bool(apart.all()) and not (outside and stays[at]):
                    centres[at], heading[at] = goal, way
                    break
                heading[at] = random.uniform(0, 2 * np.pi)
        cells = [
            _changed(random, cell, (float(y), float(x)), float(turn[at]))
            for at, (cell, (y, x)) in enumerate(zip(cells, centres, strict=True))
        ]
        plan.append(cells)
    return plan


def _changed(random: np.random.Generator, cell: Outline, centre: tuple[float, float], turn: float) -> Outline:
    """The cell one time point later, at its new place."""
    waves = cell.waves.copy()
    waves[:, 1] += random.normal(0, 0.2, len(waves)).astype(np.float32)
    return replace(cell, centre=centre, angle=cell.angle + turn, waves=waves).scaled(
        float(np.exp(random.normal(0, 0.02)))
    )
