from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.volumes.labels import pyramid
from sam2_core.volumes.labels.pyramid import Pyramid, reduced


def by_counting(labels, shape, factors):
    """The most frequent label of each block, counted one by one."""
    result = np.zeros(shape, labels.dtype)
    for place in np.ndindex(*shape):
        # beyond the edge of an odd side the last pixel is repeated
        spans = [
            np.minimum(np.arange(position * factor, (position + 1) * factor), side - 1)
            for position, factor, side in zip(place, factors, labels.shape, strict=True)
        ]
        counts = Counter(labels[np.ix_(*spans)].ravel().tolist())
        result[place] = min(counts, key=lambda one: (-counts[one], one == 0, one))
    return result


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.sampled_from([1, 2]), st.sampled_from([1, 2, 3]), st.sampled_from([2, 4])),
    st.integers(0, 1000),
)
def test_whole_factors_take_the_most_frequent_label(shape, factors, seed):
    labels = np.random.default_rng(seed).integers(0, 3, shape).astype(np.uint16)
    smaller = tuple(-(-side // factor) for side, factor in zip(shape, factors, strict=True))
    factors = [max(1, round(old / new)) for old, new in zip(shape, smaller, strict=True)]
    if all(new in (old // f, -(-old // f)) for old, new, f in zip(shape, smaller, factors, strict=True)):
        assert np.array_equal(reduced(labels, smaller), by_counting(labels, smaller, factors))


def test_a_thin_object_stays_visible():
    labels = np.zeros((8, 8), np.uint16)
    labels[:, 3] = 5
    assert np.array_equal(reduced(labels, (4, 4))[:, 1], [5] * 4)


def test_other_factors_take_the_centre():
    labels = np.arange(70).reshape(7, 10)
    # the centres of five rows lie at 0.7, 2.1, 3.5, 4.9 and 6.3 of seven
    assert np.array_equal(reduced(labels, (5, 10))[:, 0], [0, 20, 30, 40, 60])
    assert reduced(labels, (7, 10)) is labels


@pytest.mark.parametrize("shapes", [[(5, 37, 41), (3, 19, 21), (2, 10, 11)], [(5, 37, 41), (5, 18, 20)], [(5, 37, 41)]])
@pytest.mark.parametrize("changed", [[0, 1, 2, 3, 4], [3], []])
def test_levels_are_made_piece_by_piece(monkeypatch, shapes, changed):
    monkeypatch.setattr(pyramid, "_PIECE", 8)
    generator = np.random.default_rng(0)
    levels = [np.zeros(shape, np.uint16) for shape in shapes]
    levels[0][:] = np.kron(generator.integers(0, 4, (5, 10, 11)), np.ones((1, 4, 4)))[:, :37, :41]
    before = [level.copy() for level in levels]
    seen = set()
    is_changed = np.isin(np.arange(5), changed)
    Pyramid(levels, "zyx", "z", {}).build(is_changed, lambda pixels: seen.update(np.unique(pixels).tolist()))
    assert np.array_equal(levels[0], before[0])
    whole = levels[0]
    for level, old in zip(levels[1:], before[1:], strict=True):
        whole = reduced(whole, level.shape)
        if len(changed) == 5:
            assert np.array_equal(level, whole)
        elif changed and shapes[1][0] == 5:
            assert np.array_equal(level[3], whole[3])
            assert np.array_equal(np.delete(level, 3, 0), np.delete(old, 3, 0))
    if changed:
        assert seen == {0, 1, 2, 3}
    else:
        assert seen == set()
        assert all(np.array_equal(level, old) for level, old in zip(levels, before, strict=True))
