"""Drawn time-lapses of cells on the move."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError
from sam2_core.training.generator import draw_stack, random_motion
from sam2_core.training.generator.motion import plan_motion
from sam2_core.training.generator.shapes import Outline
from sam2_core.training.generator.stacks import Population

SIZE = (160, 200)
PEOPLE = Population(
    radius=8, spread=0.15, elongation=1.3, rods=0.0, waviness=0.03, gap=1.0, count=12, motion=0.8
)  # fmt: skip


def test_cells_go_their_own_ways_by_up_to_the_motion_that_is_asked_for() -> None:
    plan = plan_motion(np.random.default_rng(0), PEOPLE, SIZE, 8)
    places = np.array([[cell.centre for cell in outlines] for outlines in plan])
    widths = np.array([sum(cell.radii) for cell in plan[0]])
    steps = np.diff(places, axis=0)
    lengths = np.linalg.norm(steps, axis=2) / widths
    assert lengths.max() <= PEOPLE.motion + 1e-6
    assert np.quantile(lengths.mean(axis=0), 0.75) > 0.3 * PEOPLE.motion
    # no common drift: directions of the first steps point all ways
    moving = steps[0][lengths[0] > 0]
    directions = moving / np.linalg.norm(moving, axis=1, keepdims=True)
    assert np.linalg.norm(directions.mean(axis=0)) < 0.7


@pytest.mark.parametrize("seed", range(5))
def test_cells_keep_their_labels_and_their_distance(seed: int) -> None:
    for outlines in plan_motion(np.random.default_rng(seed), PEOPLE, SIZE, 6):
        assert [cell.label for cell in outlines] == list(range(1, len(outlines) + 1))
        for index, cell in enumerate(outlines):
            for other in outlines[:index]:
                apart = np.hypot(*np.subtract(cell.centre, other.centre))
                # sizes change by a few per cent on the way
                assert apart > 0.8 * (sum(cell.radii) + sum(other.radii)) / 2


def test_most_cells_turn_round_at_the_border_and_some_leave() -> None:
    inside = []
    for seed in range(20):
        plan = plan_motion(np.random.default_rng(seed), replace(PEOPLE, motion=1.0), SIZE, 12)
        places = np.array([cell.centre for cell in plan[-1]])
        inside.append(((places >= 0) & (places <= SIZE)).all(axis=1))
    assert 0.6 < np.concatenate(inside).mean() < 1.0


def test_motion_can_be_drawn_and_the_same_seed_gives_the_same() -> None:
    for seed in range(6):
        random, again = np.random.default_rng(seed), np.random.default_rng(seed)
        people, look = random_motion(random, (96, 96))
        assert random_motion(again, (96, 96)) == (people, look)
        assert 0.1 <= people.motion <= 1.0
        stack = draw_stack(random, frames=4, size=(96, 96), kind="time", population=people, appearance=look)
        assert stack.image.shape == (4, 96, 96)
        assert stack.labels.any()
        same = draw_stack(again, frames=4, size=(96, 96), kind="time", population=people, appearance=look)
        np.testing.assert_array_equal(same.image, stack.image)


def test_cells_divide_into_two_that_know_their_mother_and_lie_where_she_was() -> None:
    people = replace(PEOPLE, dividing=0.6)
    plan = plan_motion(np.random.default_rng(3), people, SIZE, 10)
    born: dict[int, list[int]] = {}
    for before, now in itertools.pairwise(plan):
        there = {cell.label: cell for cell in before}
        for cell in now:
            if cell.label in there:
                continue
            mother = there[cell.parent]
            born.setdefault(mother.label, []).append(cell.label)
            assert np.hypot(*np.subtract(cell.centre, mother.centre)) < 1.5 * sum(mother.radii) / 2
            assert np.prod(cell.radii) == pytest.approx(np.prod(mother.radii) / 2, rel=0.4)
            assert cell.parent not in {one.label for one in now}
    assert len(born) >= 3
    assert all(len(daughters) == 2 for daughters in born.values())


def test_some_cells_die_and_some_come_in_over_the_border() -> None:
    people = replace(PEOPLE, turnover=1.0, motion=0.5)
    plan = plan_motion(np.random.default_rng(4), people, SIZE, 10)
    first, last = ({cell.label: cell for cell in plan[at]} for at in (0, -1))
    assert set(last) < set(first)

    def inside(cell: Outline) -> bool:
        return all(0 < at < most for at, most in zip(cell.centre, SIZE, strict=True))

    outside = [label for label in last if not inside(first[label])]
    assert outside
    assert sum(inside(last[label]) for label in outside) > len(outside) / 2
    dead = set(first) - set(last)
    for label in dead:
        ends = [cell for outlines in plan for cell in outlines if cell.label == label]
        assert np.prod(ends[-1].radii) < 0.7 * np.prod(ends[0].radii)


def test_bad_requests_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="motion"):
        plan_motion(np.random.default_rng(0), replace(PEOPLE, motion=0.0), SIZE, 4)
    for kind, frames in (("z", 3), ("still", 1), ("time", 0)):
        with pytest.raises(InvalidInputError, match='kind "time"'):
            draw_stack(0, frames=frames, size=SIZE, kind=kind, population=PEOPLE)  # type: ignore[arg-type]
