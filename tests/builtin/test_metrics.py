"""The built-in metrics (sam2_metrics), against counting by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sam2_core.builtin import metrics
from sam2_core.hooks import Metric, Plugins, Selection

PLUGINS = Plugins(Selection(), strict=True)
PLUGINS.register(metrics, name="metrics")
LABELS = arrays(np.uint16, (3, 4, 5), elements=st.integers(0, 3))


def measured(name: str, predicted: Any, truth: Any, **options: Any) -> Any:
    found = PLUGINS.find(Metric, name)
    return PLUGINS.call(found, found.contribution.measure, zip(predicted, truth, strict=True), **options)


@settings(max_examples=60, deadline=None)
@given(LABELS, LABELS)
def test_each_object_through_the_stack(predicted: Any, truth: Any) -> None:
    numbers = [number for number in np.unique(truth) if number]
    expected, by_number = [], []
    for number in numbers:
        real = truth == number
        shared = {own: np.count_nonzero(real & (predicted == own)) for own in (1, 2, 3)}
        ious = {own: count / max(1, np.count_nonzero(real | (predicted == own))) for own, count in shared.items()}
        most = max(shared.values())
        expected.append(max(ious[own] for own, count in shared.items() if count == most))
        by_number.append(ious[number])

    found = measured("object-iou", predicted, truth)

    if not numbers:
        assert math.isnan(found["mean IoU"])
        return
    assert found["mean IoU"] == pytest.approx(np.mean(expected))
    assert found["found"] == pytest.approx(np.mean([iou > 0.5 for iou in expected]))
    assert measured("object-iou", predicted, truth, by_number=True)["mean IoU"] == pytest.approx(np.mean(by_number))


@settings(max_examples=30, deadline=None)
@given(LABELS, LABELS)
def test_foreground(predicted: Any, truth: Any) -> None:
    found = measured("foreground-iou", predicted, truth)["IoU"]

    either = np.count_nonzero((predicted > 0) | (truth > 0))
    if either:
        assert found == np.count_nonzero((predicted > 0) & (truth > 0)) / either
    else:
        assert math.isnan(found)
