"""Boxes of masks, and where a moving one will be."""

from __future__ import annotations

import numpy as np
import pytest
from sam2_motion_aware.boxes import BoxFilter, box_iou, box_of


def test_the_box_of_the_largest_piece() -> None:
    mask = np.zeros((20, 30), bool)
    assert box_of(mask) is None
    mask[4:10, 5:9] = True
    mask[10, 9] = True  # touches at a corner
    mask[18, 28] = True  # a speck

    box = box_of(mask)

    assert box is not None
    assert box.tolist() == [7.5, 7.5, 5, 7]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ([10, 10, 4, 4], 1.0),
        ([12, 10, 4, 4], 1 / 3),
        ([14, 10, 4, 4], 0.0),
        ([10, 10, 2, 2], 0.25),
        ([50, 9, 4, 4], 0.0),
    ],
)
def test_overlap(other: list[float], expected: float) -> None:
    box = np.array([10.0, 10.0, 4.0, 4.0])

    assert box_iou(box, np.array(other, float)) == pytest.approx(expected)


def test_a_steady_pace_is_learned_at_once_and_kept_while_nothing_is_seen() -> None:
    start, pace = np.array([10.0, 20.0, 9.0, 9.0]), np.array([3.5, -1.0, 0.0, 0.0])
    follows = BoxFilter(start)
    for frame in range(1, 5):
        follows.predict()
        follows.correct(start + frame * pace)
    unseen = [follows.predict() for _ in range(4)]

    for frame, box in enumerate(unseen, 5):
        assert box_iou(box, start + frame * pace) > 0.8


def test_a_box_never_gets_lost_in_nothing() -> None:
    follows = BoxFilter(np.array([10.0, 10.0, 20.0, 20.0]))
    for size in (12.0, 6.0, 2.0, 1.0):
        follows.predict()
        follows.correct(np.array([10.0, 10.0, size, size]))
    for _ in range(50):
        box = follows.predict()

    assert box[2:].min() >= 1
    assert np.isfinite(box).all()
