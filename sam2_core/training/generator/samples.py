"""Named scenes to try things on: drawn when they are asked for, nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sam2_core.errors import InvalidInputError
from sam2_core.training.generator.drawing import DrawnStack, draw_stack
from sam2_core.training.generator.nuclei import medium_nuclei
from sam2_core.training.generator.stacks import Population, StackKind
from sam2_core.training.generator.textures import Appearance

_SEED = 2
_SIZE = (224, 224)


@dataclass(frozen=True)
class Sample:
    """A drawn scene and what its axes are.

    Attributes
    ----------
    name
        A key of :data:`SAMPLES`.
    drawn
        Image, labels and divisions.
    axes
        Those of the image, such as "zyx".
    scale
        Of each axis, in units of a pixel's width; of time, 1.
    """

    name: str
    drawn: DrawnStack
    axes: str
    scale: tuple[float, ...]


def draw_sample(name: str) -> Sample:
    """Draw a scene; the same each time.

    Parameters
    ----------
    name : str
        A key of :data:`SAMPLES`.

    Returns
    -------
    Sample

    Raises
    ------
    InvalidInputError
        There is no such scene.
    """
    if name not in SAMPLES:
        raise InvalidInputError(f"There is no sample {name!r}. There are: {', '.join(SAMPLES)}.")
    drawn = SAMPLES[name]()
    if drawn.kind == "time":
        return Sample(name, drawn, "tyx", (1.0, 1.0, 1.0))
    # slices lie farther apart than pixels, as in most microscopes
    return Sample(name, drawn, "zyx", (2.0, 1.0, 1.0))


def _nuclei(frames: int, kind: StackKind) -> DrawnStack:
    population = medium_nuclei(np.random.default_rng(_SEED), _SIZE, radius=14.0)
    return draw_stack(_SEED, frames=frames, size=_SIZE, kind=kind, population=population)


def _divisions() -> DrawnStack:
    people = replace(
        medium_nuclei(np.random.default_rng(_SEED), _SIZE, radius=12.0),
        count=16, gap=1.25, motion=0.35, dividing=0.4, turnover=0.3,
    )  # fmt: skip
    look = Appearance(
        look="stained", dimmest=0.6, dome=0.4, texture=0.2, texture_scale=3.0, ground=0.02, ground_scale=6.0,
        shading=0.1, haze=0.1, blur=0.9, blur_z=0.0, photons=150.0, read_noise=0.02, specks=0, bleaching=0.4,
    )  # fmt: skip
    return draw_stack(5, frames=16, size=_SIZE, kind="time", population=people, appearance=look)


def _organelles() -> DrawnStack:
    people = Population(
        radius=13.0, spread=0.3, elongation=2.4, rods=0.35, waviness=0.08, gap=0.95, count=34, clumping=0.3
    )  # fmt: skip
    look = Appearance(
        look="electron", dimmest=0.6, dome=0.2, texture=0.12, texture_scale=2.0, ground=0.45, ground_scale=3.0,
        shading=0.1, haze=0.0, blur=0.7, blur_z=0.0, photons=500.0, read_noise=0.03, specks=0, lamellae=0.55,
    )  # fmt: skip
    return draw_stack(_SEED, frames=12, size=_SIZE, kind="z", population=people, appearance=look)


def _filaments() -> DrawnStack:
    people = Population(
        radius=11.0, spread=0.3, elongation=1.2, rods=0.0, waviness=0.0, gap=0.45, count=24, filaments=1.0, motion=0.12
    )
    look = Appearance(
        look="stained", dimmest=0.6, dome=0.3, texture=0.1, texture_scale=2.0, ground=0.03, ground_scale=6.0,
        shading=0.1, haze=0.15, blur=0.8, blur_z=0.0, photons=200.0, read_noise=0.02, specks=0, bleaching=0.2,
    )  # fmt: skip
    return draw_stack(_SEED, frames=12, size=_SIZE, kind="time", population=people, appearance=look)


SAMPLES: dict[str, Callable[[], DrawnStack]] = {
    # in slices
    "nuclei": lambda: _nuclei(16, "z"),
    # cells that move a little
    "time-lapse": lambda: _nuclei(16, "time"),
    # cells that move, divide, die and come in; bleaching
    "divisions": _divisions,
    # mitochondria in slices, as an electron microscope shows them
    "organelles": _organelles,
    # thin ones that creep
    "filaments": _filaments,
}
