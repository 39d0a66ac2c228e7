"""Expected times follow what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from sam2_core.session.worker.expected_time import ExpectedTime


@dataclass
class Measured:
    seconds_per_frame: float = 0.5
    seconds_per_object: float = 0.25


class Predictor:
    def __init__(self) -> None:
        self.asked = 0

    def estimate(self, state: object, *, frames: int, objects: int) -> Measured:
        assert (frames, objects) == (1, 1)
        self.asked += 1
        return Measured()


def expected() -> tuple[ExpectedTime, Predictor]:
    predictor: Any = Predictor()
    state: Any = None
    return ExpectedTime(predictor, state), predictor


def test_nothing_is_told_before_a_step_was_measured() -> None:
    one, predictor = expected()
    assert one.seconds("exact", 10, 20) is None
    one.note("exact", 1.0, 10, 20)
    assert one.seconds("exact", 10, 20) is None
    for _ in range(2):
        one.measure()
    assert predictor.asked == 1


def test_in_crops_each_object_may_need_an_image_of_its_own() -> None:
    one, _ = expected()
    one.measure()
    assert one.seconds("exact", 10, 20) == pytest.approx(10 * (0.5 + 2 * 0.25))
    assert one.seconds("crops", 10, 20) == pytest.approx(10 * 2 * (0.5 + 0.25))
    assert one.seconds("exact", 10, 10) == one.seconds("crops", 10, 10)


def test_it_learns_for_each_preset() -> None:
    one, _ = expected()
    one.measure()
    exact = one.seconds("exact", 4, 12)
    one.note("crops", 6.0, 10, 40)
    assert one.seconds("crops", 10, 40) == pytest.approx(6.0)
    assert one.seconds("crops", 20, 80) == pytest.approx(12.0)
    assert one.seconds("exact", 4, 12) == exact
    one.note("exact", 8.0, 4, 12)
    assert one.seconds("exact", 4, 12) == pytest.approx(8.0)
    # a propagation over nothing says nothing
    one.note("exact", 1.0, 0, 3)
    one.note("exact", 1.0, 4, 0)
    assert one.seconds("exact", 4, 12) == pytest.approx(8.0)
