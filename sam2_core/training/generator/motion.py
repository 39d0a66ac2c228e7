"""Time-lapses of cells on the move: each goes its own way, by up to its width from one frame to the next.

Some divide, some die, some come in over the border.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

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


@dataclass
class _Walker:
    """A cell, where it goes and what becomes of it."""

    cell: Outline
    centre: NDArray[np.float64]
    reach: float
    pace: float
    heading: float
    turn: float
    stays: bool
    divides: int = -1
    dies: int = -1


def plan_motion(
    random: np.random.Generator, population: Population, size: tuple[int, int], frames: int
) -> list[list[Outline]]:
    """Cells that go on in the direction they have, turn, and step aside for one another.

    A cell that divides is round before; its daughters begin side by side with new labels, and know their mother. A
    cell that dies shrinks and is gone.

    Parameters
    ----------
    random : numpy Generator
    population : Population
        `motion` is what the fastest cells move by from frame to frame, in widths; `gap` holds in every frame, but for
        daughters.
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
    walkers = _walkers(random, population, place_cells(random, population, size))
    if population.dividing or population.turnover:
        _decide_fates(random, population, walkers, size, frames)
    plan = [[walker.cell for walker in walkers]]
    labels = len(walkers)
    spin = float(random.choice([0.1, 0.3, 0.6]))
    for time in range(1, frames):
        stay = [walker for walker in walkers if time not in (walker.dies, walker.divides)]
        born: list[_Walker] = []
        for walker in walkers:
            if time == walker.divides:
                born += _daughters(random, walker, labels + len(born))
        labels += len(born)
        walkers = [*stay, *born]
        for walker in stay:
            _step(random, walker, walkers, population.gap, size, spin)
        for walker in walkers:
            walker.cell = _changed(random, walker, time)
        plan.append([walker.cell for walker in walkers])
    return plan


def _walkers(random: np.random.Generator, population: Population, cells: list[Outline]) -> list[_Walker]:
    reaches = np.array([sum(cell.radii) / 2 for cell in cells])
    # One in five rests: a cell that moves is told from its neighbours by moving.
    pace = 2 * reaches * population.motion * random.uniform(0.3, 1.0, len(cells))
    pace[random.random(len(cells)) < 0.2] *= 0.1
    heading = random.uniform(0, 2 * np.pi, len(cells))
    stays = random.random(len(cells)) < 0.75
    turn = random.normal(0, 0.06, len(cells))
    return [
        _Walker(
            cell, np.array(cell.centre), float(reaches[at]), float(pace[at]), float(heading[at]), float(turn[at]),
            bool(stays[at]),
        )
        for at, cell in enumerate(cells)
    ]  # fmt: skip


def _decide_fates(
    random: np.random.Generator, population: Population, walkers: list[_Walker], size: tuple[int, int], frames: int
) -> None:
    """Choose who divides, who dies, and who comes in over the border."""
    for walker in walkers:
        chosen = random.random()
        if frames > 2 and chosen < population.dividing:
            walker.divides = int(random.integers(2, frames))
        elif frames > 2 and chosen < population.dividing + population.turnover / 2:
            walker.dies = int(random.integers(2, frames))
        elif chosen < population.dividing + population.turnover:
            side, away = int(random.integers(4)), 1.2 * walker.reach
            along = side % 2
            walker.centre[along] = -away if side < 2 else size[along] + away
            inward = 0.0 if side < 2 else np.pi
            # headings are from x towards y
            walker.heading = inward if along else inward + np.pi / 2
            walker.pace = max(walker.pace, 0.5 * walker.reach)
            walker.stays = False
            walker.cell = replace(walker.cell, centre=(float(walker.centre[0]), float(walker.centre[1])))


def _step(
    random: np.random.Generator,
    walker: _Walker,
    walkers: list[_Walker],
    gap: float,
    size: tuple[int, int],
    spin: float,
) -> None:
    """Move a cell where there is room; it stays where it is if it finds none."""
    centres = np.array([other.centre for other in walkers])
    reaches = np.array([other.reach for other in walkers])
    others = np.array([other is not walker for other in walkers])
    for _ in range(_TRIES):
        way = walker.heading + random.normal(0, spin)
        step = walker.pace * float(random.uniform(0.7, 1.0))
        goal = walker.centre + step * np.array([np.sin(way), np.cos(way)])
        outside = bool((goal < 0).any() or (goal > np.array(size)).any())
        near = np.hypot(*(centres - goal).T) < gap * (reaches + walker.reach)
        if not bool((near & others).any()) and not (outside and walker.stays):
            walker.centre, walker.heading = goal, way
            return
        walker.heading = float(random.uniform(0, 2 * np.pi))


def _daughters(random: np.random.Generator, mother: _Walker, labels: int) -> list[_Walker]:
    """Two cells side by side across the mother's middle, of half its area each."""
    angle = float(random.uniform(0, 2 * np.pi))
    radius = mother.reach / 2**0.5
    born = []
    for number in (0, 1):
        heading = angle + number * np.pi
        centre = mother.centre + 0.95 * radius * np.array([np.sin(heading), np.cos(heading)])
        cell = replace(
            mother.cell,
            label=labels + 1 + number,
            centre=(float(centre[0]), float(centre[1])),
            radii=(radius * 1.1, radius / 1.1),
            angle=angle + np.pi / 2,
            parent=mother.cell.label,
            glow=1.0,
        )
        born.append(_Walker(cell, centre, radius, mother.pace, heading, mother.turn, mother.stays))
    return born


def _changed(random: np.random.Generator, walker: _Walker, time: int) -> Outline:
    """The cell at a time point: at its place, and as what becomes of it shows."""
    cell = walker.cell
    waves = cell.waves.copy()
    waves[:, 1] += random.normal(0, 0.2, len(waves)).astype(np.float32)
    centre = (float(walker.centre[0]), float(walker.centre[1]))
    changed = replace(cell, centre=centre, angle=cell.angle + walker.turn, waves=waves).scaled(
        float(np.exp(random.normal(0, 0.02)))
    )
    if time + 1 == walker.divides:
        # mitotic cells round up
        return replace(changed, radii=(walker.reach * 0.9, walker.reach * 0.9))
    if walker.dies > 0 and time + 2 >= walker.dies:
        return changed.scaled(0.75)
    return changed
