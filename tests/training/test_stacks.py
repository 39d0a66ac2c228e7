"""Plans of cells across frames."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError
from sam2_core.training.generator.shapes import Outline
from sam2_core.training.generator.stacks import (
    Population,
    place_cells,
    plan_frames,
    random_population,
)

PEOPLE = Population(radius=8, spread=0.2, elongation=1.5, rods=0.2, waviness=0.06, gap=1.05, count=30)


def test_cells_keep_their_distance() -> None:
    cells = place_cells(np.random.default_rng(0), PEOPLE, (200, 200))
    assert [cell.label for cell in cells] == list(range(1, len(cells) + 1))
    centres = np.array([cell.centre for cell in cells])
    sizes = np.array([sum(cell.radii) / 2 for cell in cells])
    apart = np.hypot(*(centres[:, None] - centres[None]).transpose(2, 0, 1))
    np.fill_diagonal(apart, np.inf)
    assert (apart >= PEOPLE.gap * (sizes[:, None] + sizes[None]) - 1e-3).all()


def test_clumped_cells_touch_and_keep_their_distance() -> None:
    sparse = replace(PEOPLE, gap=1.0, count=24)

    def nearest(people: Population) -> np.ndarray:
        """Distance of each cell to its nearest neighbour, in units of the sum of their radii."""
        cells = place_cells(np.random.default_rng(2), people, (400, 400))
        centres, sizes = np.array([cell.centre for cell in cells]), np.array([sum(c.radii) / 2 for c in cells])
        apart = np.hypot(*(centres[:, None] - centres[None]).transpose(2, 0, 1)) / (sizes[:, None] + sizes[None])
        np.fill_diagonal(apart, np.inf)
        return apart.min(axis=1)

    alone, together = nearest(sparse), nearest(replace(sparse, clumping=0.8))
    assert together.min() >= 1 - 1e-3
    assert np.mean(together < 1.13) > 0.7
    assert np.mean(alone < 1.13) < 0.3


def test_condensed_cells_are_small_and_bright() -> None:
    plain, condensed = (
        place_cells(np.random.default_rng(1), replace(PEOPLE, condensed=share), (200, 200)) for share in (0.0, 1.0)
    )
    assert {cell.glow for cell in plain} == {1.0}
    assert min(cell.glow for cell in condensed) >= 2

    def area(cells: list[Outline]) -> float:
        return float(np.mean([cell.radii[0] * cell.radii[1] for cell in cells]))

    assert area(condensed) < 0.7 * area(plain)


@pytest.mark.parametrize("kind", ["still", "z", "time"])
def test_cells_keep_their_label_and_move_little(kind: str) -> None:
    random = np.random.default_rng(3)
    cells = place_cells(random, PEOPLE, (200, 200))
    plan = plan_frames(random, cells, 8, kind)
    assert len(plan) == 8
    for before, after in itertools.pairwise(plan):
        there = {cell.label: cell for cell in before}
        for cell in after:
            if cell.label in there:
                assert np.hypot(*np.subtract(cell.centre, there[cell.label].centre)) < 2.5 * PEOPLE.radius


def test_cells_end_along_z_and_do_not_come_back() -> None:
    random = np.random.default_rng(5)
    plan = plan_frames(random, place_cells(random, PEOPLE, (200, 200)), 30, "z")
    ended = 0
    for label in {cell.label for frame in plan for cell in frame}:
        there = [any(cell.label == label for cell in frame) for frame in plan]
        changes = np.flatnonzero(np.diff(np.array(there, dtype=int)))
        assert len(changes) <= 2
        ended += not all(there)
    assert ended > 0


def test_populations_fit_the_frame() -> None:
    for seed in range(20):
        people = random_population(np.random.default_rng(seed), (64, 128))
        assert 1 < people.radius < 32
        assert people.count >= 1


def test_bad_requests_are_refused() -> None:
    random = np.random.default_rng(0)
    with pytest.raises(InvalidInputError, match="frame"):
        plan_frames(random, [], 0, "z")
    with pytest.raises(InvalidInputError, match="kind"):
        plan_frames(random, [], 2, "sideways")  # type: ignore[arg-type]
