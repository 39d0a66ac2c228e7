"""Linear interpolation of all pixels of an axis, or of some."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.inference.linear_axis import LinearAxis


def test_rounding_of_large_axes_stays_harmless() -> None:
    axis = LinearAxis(256, 20011)
    values = torch.arange(256.0)[:, None]
    expected = np.clip((np.arange(20011) + 0.5) * 256 / 20011 - 0.5, 0, 255)

    np.testing.assert_allclose(axis.interpolate(values, 0, 0, 20011)[:, 0].numpy(), expected, atol=1e-4)


@given(low=st.integers(1, 30), high=st.integers(1, 90), data=st.data())
@settings(max_examples=60, deadline=None)
def test_what_values_reach_is_made_of_them(low: int, high: int, data: st.DataObject) -> None:
    flags = np.array(data.draw(st.lists(st.booleans(), min_size=low, max_size=low)))
    axis = LinearAxis(low, high)
    start, stop = axis.reach(flags)
    spread = axis.interpolate(torch.from_numpy(flags).float()[:, None], 0, 0, high)[:, 0].numpy()

    assert not spread[:start].any()
    assert not spread[stop:].any()
    if start < stop:
        used = axis.used(start, stop)
        part = axis.interpolate(torch.from_numpy(flags).float()[used, None], used.start, start, stop)[:, 0].numpy()
        assert np.array_equal(part, spread[start:stop])


@pytest.mark.parametrize("leading", [(), (3,), (2, 1)])
def test_other_axes_stay(leading: tuple[int, ...]) -> None:
    values = torch.randn(*leading, 4, 5)

    assert torch.equal(LinearAxis(4, 4).interpolate(values, 0, 0, 4), values)
