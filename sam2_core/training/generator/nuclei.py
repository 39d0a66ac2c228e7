"""Fields of fluorescent nuclei: what a microscope shows of a culture with a stain of the chromatin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sam2_core.training.generator.stacks import Population, random_population
from sam2_core.training.generator.textures import Appearance


def medium_nuclei(random: np.random.Generator, size: tuple[int, int], radius: float) -> Population:
    """Nuclei of much the same size, some touching: what demonstrations show.

    Parameters
    ----------
    random : numpy Generator
    size : (int, int)
        (height, width) of the frame in pixels.
    radius : float
        Of most, in pixels.
    """
    return replace(
        random_population(random, size),
        radius=radius,
        spread=0.2,
        elongation=1.5,
        rods=0.0,
        waviness=0.05,
        gap=1.0,
        count=36,
    )


def random_nuclei(random: np.random.Generator, size: tuple[int, int]) -> tuple[Population, Appearance]:
    """Draw round and elliptic nuclei of 11 to 42 pixels, from sparse to crowded, and how they are recorded.

    Many touch or overlap, some are condensed and far brighter than the others, some out of focus; light is uneven and
    the camera noisy. Sizes are in pixels, whatever the frame.

    Parameters
    ----------
    random : numpy Generator
    size : (int, int)
        (height, width) of the frame in pixels.

    Returns
    -------
    Population, Appearance
    """
    radius = float(min(np.exp(random.uniform(np.log(5.5), np.log(21.0))), min(size) / 5))
    room = size[0] * size[1] / (np.pi * radius**2)
    population = Population(
        radius=radius,
        spread=float(random.uniform(0.06, 0.3)),
        elongation=float(random.choice([1.3, 1.8, 2.4])),
        rods=0.0,
        waviness=float(random.choice([0.01, 0.03, 0.06])),
        gap=float(random.uniform(0.74, 1.1)),
        count=int(np.clip(room * random.uniform(0.08, 0.7), 1, 300)),
        clumping=float(random.choice([0.0, 0.35, 0.7])),
        condensed=float(random.choice([0.0, 0.0, 0.05, 0.12])),
    )
    appearance = Appearance(
        look="stained",
        dimmest=float(random.uniform(0.25, 0.95)),
        dome=float(random.uniform(0.0, 0.7)),
        texture=float(random.choice([0.03, 0.1, 0.2, 0.35])),
        texture_scale=float(np.clip(radius * random.uniform(0.1, 0.5), 1.0, 10.0)),
        ground=float(random.choice([0.0, 0.02, 0.06])),
        ground_scale=float(random.uniform(1.0, 10.0)),
        shading=float(random.choice([0.0, 0.1, 0.3])),
        haze=float(random.choice([0.0, 0.1, 0.25, 0.5])),
        blur=float(np.clip(random.choice([0.6, 1.0, 1.6]) * (0.6 + radius / 30), 0.5, 2.5)),
        blur_z=float(random.choice([0.0, 0.5, 1.0])),
        photons=float(np.exp(random.uniform(np.log(15), np.log(1500)))),
        read_noise=float(random.choice([0.005, 0.02, 0.05])),
        specks=int(random.choice([0, 0, 0, 8])),
        skew=float(random.choice([0.0, 0.2, 0.45])),
        defocused=float(random.choice([0.0, 0.0, 0.15, 0.35])),
        translucency=float(random.choice([0.0, 0.5, 1.0])),
    )
    return population, appearance
