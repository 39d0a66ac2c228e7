"""Drawn fields of fluorescent nuclei."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_core.training.generator import draw_stack, random_nuclei


@pytest.mark.parametrize("size", [(64, 96), (320, 320)])
def test_nuclei_have_the_size_of_nuclei_whatever_the_frame(size: tuple[int, int]) -> None:
    for seed in range(30):
        people, look = random_nuclei(np.random.default_rng(seed), size)
        assert 5.5 <= people.radius <= min(21, min(size) / 5)
        assert people.rods == 0
        assert people.count >= 1
        assert look.look == "stained"


def test_a_field_can_be_drawn_and_nuclei_are_brighter_than_the_ground() -> None:
    brighter = []
    for seed in range(8):
        random = np.random.default_rng(seed)
        people, look = random_nuclei(random, (128, 128))
        stack = draw_stack(random, kind="still", size=(128, 128), population=people, appearance=look)
        inside = stack.labels[0] > 0
        brighter.append(stack.image[0][inside].mean() - stack.image[0][~inside].mean())
    assert min(brighter) > 0
    assert np.mean(brighter) > 25


def test_fields_differ_and_the_same_seed_gives_the_same() -> None:
    one, again, other = (random_nuclei(np.random.default_rng(seed), (256, 256)) for seed in (3, 3, 4))
    assert one == again
    assert one != other
