"""Drawn scenes that say what a model can do already, beside somebody's own frames."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sam2_core.training.generator import (
    LOOKS,
    DrawnStack,
    draw_stack,
    random_appearance,
    random_nuclei,
    random_population,
)

#: Sides of the drawn pictures in pixels: no more than a model sees, and cells stay of the size it knows.
LARGEST_SIDE = 256


class DrawnScene:
    """One drawn picture as a :class:`~sam2_core.hooks.TrainingVideo`; drawn when it is first asked for.

    Parameters
    ----------
    seed : int
        Even ones are nuclei, odd ones cells of any kind, each look as often as the others.
    size : (int, int)
        Height and width in pixels.
    """

    def __init__(self, seed: int, size: tuple[int, int]) -> None:
        self._seed = seed
        self._size = size

    @property
    def name(self) -> str:
        """Its seed."""
        return f"drawn scene {self._seed}"

    def __len__(self) -> int:
        return 1

    @cached_property
    def _drawn(self) -> DrawnStack:
        random = np.random.default_rng(self._seed)
        if self._seed % 2 == 0:
            population, appearance = random_nuclei(random, self._size)
        else:
            population = random_population(random, self._size)
            appearance = random_appearance(random, population.radius, LOOKS[self._seed // 2 % len(LOOKS)])
        return draw_stack(random, size=self._size, kind="still", population=population, appearance=appearance)

    def image(self, frame: int) -> NDArray[np.uint8]:
        """The picture (y, x, rgb), grey."""
        return np.repeat(self._drawn.image[frame][..., None], 3, axis=2)

    def masks(self, frame: int) -> Mapping[int, NDArray[np.bool_]]:
        """Every cell (y, x)."""
        pixels = self._drawn.labels[frame]
        return {int(number): pixels == number for number in np.unique(pixels) if number}


def drawn_scenes(count: int, input_size: tuple[int, int], first_seed: int = 7_000_000) -> list[DrawnScene]:
    """So many scenes for a model of this input size."""
    size = (min(input_size[0], LARGEST_SIDE), min(input_size[1], LARGEST_SIDE))
    return [DrawnScene(first_seed + number, size) for number in range(count)]
