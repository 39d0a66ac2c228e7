"""Which of the masks found everywhere are kept."""

from __future__ import annotations

import pytest

from sam2_core.checkpoints.catalogue import get_entry
from sam2_core.cli.finding import Thresholds


def thresholds(checkpoint: str, iou: float | None, stability: float | None) -> tuple[float, float]:
    found = Thresholds.for_model(checkpoint, 32, iou, stability, 0, 0.5)
    return found.min_iou, found.min_stability


def test_a_model_may_say_what_suits_it() -> None:
    micro = get_entry("sam2.1_hiera_micro")
    assert thresholds("sam2.1_hiera_micro", None, None) == (micro.min_iou, micro.min_stability)
    assert micro.min_iou is not None
    assert micro.min_iou < Thresholds.min_iou


@pytest.mark.parametrize("checkpoint", ["sam2.1_hiera_tiny", "somewhere/weights.pt"])
def test_others_take_the_usual_ones(checkpoint: str) -> None:
    assert thresholds(checkpoint, None, None) == (Thresholds.min_iou, Thresholds.min_stability)


def test_what_is_asked_for_counts_also_where_it_is_nothing() -> None:
    assert thresholds("sam2.1_hiera_micro", 0.0, 0.9) == (0.0, 0.9)
