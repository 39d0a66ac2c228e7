from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from sam2_core.inference.stability import calculate_stability_score


@settings(deadline=None)
@given(
    logits=npst.arrays(
        np.float32, npst.array_shapes(min_dims=3, max_dims=4, max_side=6), elements=st.floats(-4, 4, width=32)
    ),
    threshold=st.sampled_from([-0.5, 0.0, 1.0]),
    offset=st.sampled_from([0.25, 1.0, 3.0]),
)
def test_it_is_the_iou_of_the_masks_at_both_thresholds(logits: np.ndarray, threshold: float, offset: float) -> None:
    found = calculate_stability_score(torch.from_numpy(logits), threshold, offset)

    strict, generous = logits > threshold + offset, logits > threshold - offset
    shared, either = ((strict & generous).sum((-2, -1)), (strict | generous).sum((-2, -1)))
    expected = np.divide(shared, either, out=np.zeros(shared.shape), where=either > 0)
    assert found.dtype == torch.float32
    assert found.shape == logits.shape[:-2]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_large_masks_are_counted_exactly() -> None:
    """More pixels than float16, or an 8-bit sum, could count."""
    logits = torch.full((1, 512, 512), 5.0, dtype=torch.float16)
    logits[0, 0, 0] = 0.5

    assert calculate_stability_score(logits, 0.0, 1.0).item() == np.float32((512**2 - 1) / 512**2)
