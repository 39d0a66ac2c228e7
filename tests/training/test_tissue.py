"""Drawn tissue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError
from sam2_core.training.generator import draw_stack, random_tissue
from sam2_core.training.generator.stacks import Population
from sam2_core.training.generator.tissue import plan_tissue

PEOPLE = Population(
    radius=6, spread=0.15, elongation=1.3, rods=0.0, waviness=0.03, gap=0.85, count=18, height=3.5
)  # fmt: skip


def test_nuclei_begin_and_end_and_others_lie_above_them() -> None:
    frames, size = 30, (64, 64)
    plan = plan_tissue(np.random.default_rng(0), PEOPLE, size, frames)
    there = {
        label: [any(cell.label == label for cell in outlines) for outlines in plan]
        for label in {cell.label for outlines in plan for cell in outlines}
    }

    inside = {label: seen for label, seen in there.items() if not seen[0] and not seen[-1]}
    heights = [sum(seen) for seen in inside.values()]
    assert len(inside) > 20
    assert 5 <= np.median(heights) <= 9
    for seen in there.values():
        assert len(np.flatnonzero(np.diff(np.array(seen, dtype=int)))) <= 2
    followed = 0
    for label, seen in inside.items():
        last = int(np.flatnonzero(seen)[-1])
        ended = next(cell for cell in plan[last] if cell.label == label)
        followed += any(
            np.hypot(*np.subtract(cell.centre, ended.centre)) < PEOPLE.radius
            for cell in plan[min(last + 2, frames - 1)]
        )
    assert followed > 0.15 * len(inside)


def test_the_middles_of_cells_keep_their_distance() -> None:
    """Largest sections of two cells never share a centre: each cell owns the middle of its own."""
    plan = plan_tissue(np.random.default_rng(1), replace(PEOPLE, gap=1.0), (64, 64), 20)
    for outlines in plan:
        large = [cell for cell in outlines if min(cell.radii) > 0.95 * PEOPLE.radius]
        for index, cell in enumerate(large):
            for other in large[:index]:
                assert np.hypot(*np.subtract(cell.centre, other.centre)) > PEOPLE.radius


@pytest.mark.parametrize("size", [(48, 64), (96, 96)])
def test_tissue_can_be_drawn_and_the_same_seed_gives_the_same(size: tuple[int, int]) -> None:
    for seed in range(6):
        random, again = np.random.default_rng(seed), np.random.default_rng(seed)
        people, look = random_tissue(random, size)
        assert random_tissue(again, size) == (people, look)
        assert 4 <= people.radius <= min(13, min(size) / 6)
        stack = draw_stack(random, frames=6, size=size, kind="z", population=people, appearance=look)
        assert stack.image.shape == (6, *size)
        assert (stack.labels > 0).any()
        np.testing.assert_array_equal(
            draw_stack(again, frames=6, size=size, kind="z", population=people, appearance=look).image, stack.image
        )


def test_bad_requests_are_refused() -> None:
    random = np.random.default_rng(0)
    with pytest.raises(InvalidInputError, match="height"):
        plan_tissue(random, replace(PEOPLE, height=0.0), (64, 64), 4)
    with pytest.raises(InvalidInputError, match='kind "z"'):
        draw_stack(0, frames=2, size=(64, 64), kind="time", population=PEOPLE)
    with pytest.raises(InvalidInputError, match="No cell"):
        plan_tissue(random, PEOPLE, (64, 64), 0)
