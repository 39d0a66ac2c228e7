"""Named scenes."""

from __future__ import annotations

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError
from sam2_core.training.generator import SAMPLES, draw_sample


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_scene_can_be_drawn_again(name: str) -> None:
    sample, again = draw_sample(name), draw_sample(name)
    assert sample.name == name
    assert len(sample.axes) == len(sample.scale) == sample.drawn.image.ndim == 3
    assert sample.axes[0] == {"z": "z", "time": "t"}[sample.drawn.kind]
    np.testing.assert_array_equal(sample.drawn.image, again.drawn.image)
    inside = sample.drawn.labels > 0
    apart = sample.drawn.image[inside].mean() - sample.drawn.image[~inside].mean()
    assert abs(apart) > 25
    assert len(np.unique(sample.drawn.labels)) > 10


def test_divisions_are_seen_and_known() -> None:
    drawn = draw_sample("divisions").drawn
    assert len(drawn.parents) >= 6
    for daughter, mother in drawn.parents.items():
        born = np.flatnonzero((drawn.labels == daughter).any(axis=(1, 2)))
        there = np.flatnonzero((drawn.labels == mother).any(axis=(1, 2)))
        assert len(there) == 0 or len(born) == 0 or there.max() < born.min()
    first = set(np.unique(drawn.labels[0])) - {0}
    last = set(np.unique(drawn.labels[-1])) - {0}
    assert (last - first) & set(drawn.parents)
    assert first - last


def test_filaments_are_long_and_thin() -> None:
    labels = draw_sample("filaments").drawn.labels[0]
    boxes = []
    for label in np.unique(labels)[1:]:
        rows, columns = np.nonzero(labels == label)
        boxes.append(len(rows) / max(np.hypot(np.ptp(rows), np.ptp(columns)), 1) ** 2)
    # area against length squared: 0.79 for a disc
    assert np.median(boxes) < 0.1


def test_an_unknown_scene_is_refused_with_the_list() -> None:
    with pytest.raises(InvalidInputError, match="nuclei, time-lapse"):
        draw_sample("zebra")
