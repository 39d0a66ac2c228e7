"""Tissue in z-stacks: nuclei beside and above one another, each a few slices high, magnified little.

Where one ends another often begins, a slice or two on; elsewhere nothing follows but its light out of focus.
"""

from __future__ import annotations

import numpy as np

from sam2_core.errors import InvalidInputError
from sam2_core.training.generator.shapes import Outline
from sam2_core.training.generator.stacks import Population, add_sections
from sam2_core.training.generator.textures import Appearance


def random_tissue(random: np.random.Generator, size: tuple[int, int]) -> tuple[Population, Appearance]:
    """Draw nuclei of 8 to 26 pixels and 6 to 13 slices that fill a volume, and how they are recorded.

    Parameters
    ----------
    random : numpy Generator
    size : (int, int)
        (height, width) of a slice in pixels.

    Returns
    -------
    Population, Appearance
    """
    radius = float(min(np.exp(random.uniform(np.log(4.0), np.log(13.0))), min(size) / 6))
    # About half of them are so dense that a nucleus has others above and below.
    filled = float(random.uniform(0.1, 1.3))
    population = Population(
        radius=radius,
        spread=float(random.uniform(0.08, 0.3)),
        elongation=float(random.choice([1.2, 1.5, 1.9])),
        rods=0.0,
        waviness=float(random.choice([0.01, 0.03, 0.07])),
        gap=float(random.uniform(0.72, 1.0)),
        # For each slice; `plan_tissue` takes as many slices as a nucleus is high.
        count=max(1, int(filled * size[0] * size[1] / (np.pi * radius**2))),
        height=float(np.exp(random.uniform(np.log(2.8), np.log(6.5)))),
    )
    appearance = Appearance(
        look="stained",
        dimmest=float(random.uniform(0.25, 0.95)),
        dome=float(random.uniform(0.0, 0.8)),
        texture=float(random.choice([0.03, 0.1, 0.2, 0.3])),
        texture_scale=float(np.clip(radius * random.uniform(0.1, 0.5), 1.0, 5.0)),
        ground=float(random.choice([0.0, 0.02, 0.06])),
        ground_scale=float(random.uniform(1.0, 10.0)),
        shading=float(random.choice([0.0, 0.1, 0.3])),
        haze=float(random.choice([0.0, 0.1, 0.3])),
        blur=float(random.uniform(0.5, 1.5) * (0.7 + radius / 30)),
        blur_z=float(random.choice([0.0, 0.6, 1.0, 1.4])),
        photons=float(np.exp(random.uniform(np.log(12), np.log(600)))),
        read_noise=float(random.choice([0.005, 0.02, 0.05])),
        specks=0,
        skew=float(random.choice([0.0, 0.15, 0.3])),
    )
    return population, appearance


def plan_tissue(
    random: np.random.Generator, population: Population, size: tuple[int, int], frames: int
) -> list[list[Outline]]:
    """Throw ellipsoids into a volume and cut it into slices.

    Parameters
    ----------
    random : numpy Generator
    population : Population
        `height` is their mean half height in slices; `gap` holds in the volume: two centres lie outside of an
        ellipsoid of `gap` times the sum of the two cells' half axes. No rods, clumps or condensed cells.
    size : (int, int)
        (height, width) of a slice in pixels.
    frames : int
        Number of slices.

    Returns
    -------
    list of list of Outline
        One list for each slice, z ascending.

    Raises
    ------
    InvalidInputError
        If `population.height` is not positive, or no cell lies in the stack.
    """
    if not population.height > 0:
        raise InvalidInputError(f"Cells that fill a volume need a height of more than 0, got {population.height}.")
    above = 1.5 * population.height
    wanted = max(1, round(population.count * (frames + 2 * above) / (2 * population.height)))
    centres = np.zeros((0, 3), dtype=np.float32)
    reaches = np.zeros((0, 2), dtype=np.float32)
    plan: list[list[Outline]] = [[] for _ in range(frames)]
    for _ in range(4 * wanted):
        if len(centres) == wanted:
            break
        scale = float(np.clip(random.normal(1.0, population.spread), 0.45, 1.8))
        ratio = float(random.uniform(1.0, population.elongation))
        half = population.height * scale * float(random.uniform(0.8, 1.25))
        radius = population.radius * scale
        centre = np.array(
            [random.uniform(-above, frames - 1 + above), random.uniform(0, size[0]), random.uniform(0, size[1])],
            dtype=np.float32,
        )
        reach = np.array([half, radius], dtype=np.float32)
        away = (centres - centre) / (population.gap * (reaches + reach)[:, [0, 1, 1]])
        if bool((np.square(away).sum(axis=1) < 1).any()):
            continue
        waves = np.stack([random.normal(0, 1, 4), random.uniform(0, 2 * np.pi, 4)], axis=1)
        waves[:, 0] *= population.waviness / np.arange(1, 5)
        centres, reaches = np.concatenate([centres, centre[None]]), np.concatenate([reaches, reach[None]])
        cell = Outline(
            label=len(centres),
            centre=(float(centre[1]), float(centre[2])),
            radii=(radius * ratio**0.5, radius / ratio**0.5),
            angle=float(random.uniform(0, np.pi)),
            waves=waves.astype(np.float32),
        )
        add_sections(random, plan, cell, float(centre[0]), half)
    if not any(plan):
        raise InvalidInputError(f"No cell lies in {frames} slices of {size}; use more cells or a larger stack.")
    return plan
