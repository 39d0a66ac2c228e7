"""Outlines and label maps."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.training.generator.shapes import Outline, draw_labels, outline_depth

NO_WAVES = np.zeros((4, 2), dtype=np.float32)


def disc(label: int, y: float, x: float, radius: float) -> Outline:
    return Outline(label, (y, x), (radius, radius), 0.0, NO_WAVES)


def test_a_disc_has_its_area_and_depth() -> None:
    drawn = draw_labels([disc(7, 20, 24, 9)], (40, 50))
    assert set(np.unique(drawn.labels)) == {0, 7}
    assert abs(int((drawn.labels == 7).sum()) - np.pi * 81) < 12
    assert drawn.depth[20, 24] == 1.0
    assert drawn.depth.dtype == np.float32
    assert drawn.labels.dtype == np.uint16
    assert (drawn.depth[drawn.labels == 0] == 0).all()


def test_a_rod_is_as_long_and_wide_as_said() -> None:
    drawn = draw_labels([Outline(1, (30, 30), (20, 5), 0.0, NO_WAVES, rod=True)], (60, 60))
    rows, columns = np.nonzero(drawn.labels)
    assert abs(np.ptp(columns) + 1 - 40) <= 2
    assert abs(np.ptp(rows) + 1 - 10) <= 2


@settings(max_examples=30, deadline=None)
@given(
    cells=st.lists(st.tuples(st.floats(-5, 45), st.floats(-5, 45), st.floats(1, 12)), min_size=1, max_size=6),
    seed=st.integers(0, 100),
)
def test_the_order_of_the_cells_does_not_matter(cells: list[tuple[float, float, float]], seed: int) -> None:
    outlines = [disc(number, *cell) for number, cell in enumerate(cells, start=1)]
    shuffled = [outlines[i] for i in np.random.default_rng(seed).permutation(len(outlines))]
    one, other = draw_labels(outlines, (40, 40)), draw_labels(shuffled, (40, 40))
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.depth, other.depth)
    np.testing.assert_array_equal(one.covered, other.covered)
    np.testing.assert_array_equal(one.covered_depth, other.covered_depth)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(5, 35), st.floats(5, 35), st.floats(4, 14)), min_size=1, max_size=5))
def test_covered_is_the_second_deepest_cell(cells: list[tuple[float, float, float]]) -> None:
    outlines = [disc(number, *cell) for number, cell in enumerate(cells, start=1)]
    y, x = np.mgrid[:40, :40].astype(np.float32)
    none = np.zeros((1, 40, 40), dtype=np.float32)
    depths = np.concatenate([none, none, *(np.maximum(outline_depth(o, y, x), 0)[None] for o in outlines)])
    drawn = draw_labels(outlines, (40, 40))
    np.testing.assert_array_equal(drawn.covered_depth, np.sort(depths, axis=0)[-2])
    assert ((drawn.covered > 0) == (drawn.covered_depth > 0)).all()
    overlap = drawn.covered > 0
    assert (drawn.covered != drawn.labels)[overlap].all()
    rows, columns = np.nonzero(overlap)
    np.testing.assert_array_equal(
        depths[drawn.covered[overlap].astype(int) + 1, rows, columns], drawn.covered_depth[overlap]
    )


@settings(max_examples=40, deadline=None)
@given(
    radii=st.tuples(st.floats(2, 20), st.floats(2, 20)),
    angle=st.floats(0, 3.2),
    bend=st.floats(-0.5, 0.5),
    rod=st.booleans(),
    amplitude=st.floats(0, 0.15),
)
def test_nothing_lies_beyond_the_reach(
    radii: tuple[float, float], angle: float, bend: float, rod: bool, amplitude: float
) -> None:
    waves = np.array([[amplitude, 0.3], [amplitude / 2, 1.0]], dtype=np.float32)
    outline = Outline(1, (0.0, 0.0), radii, angle, waves, rod, bend)
    y, x = np.mgrid[-90:91, -90:91].astype(np.float32)
    inside = outline_depth(outline, y, x) > 0
    assert np.hypot(y, x)[inside].max(initial=0) <= outline.reach + 1e-3
