from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.contrast import ContrastLimits


def test_limits_are_the_percentiles():
    sample = np.random.default_rng(0).integers(0, 4000, (5000, 1)).astype(np.uint16)
    limits = ContrastLimits.from_sample(sample, per_channel=False)
    assert limits.low == (np.percentile(sample, 1),)
    assert limits.high == (np.percentile(sample, 99.8),)


def test_stains_get_limits_of_their_own_and_colours_share_them():
    sample = np.stack([np.arange(1000), np.arange(1000) * 10], axis=1).astype(np.uint16)
    assert len(ContrastLimits.from_sample(sample, per_channel=True).low) == 2
    assert len(ContrastLimits.from_sample(sample, per_channel=False).low) == 1


def test_apply_maps_the_limits_to_black_and_white():
    shown = ContrastLimits((100.0,), (300.0,)).apply(np.array([[[0], [100], [200], [300], [9999]]], dtype=np.uint16))
    assert shown.dtype == np.uint8
    assert shown[0, :, 0].tolist() == [0, 0, 128, 255, 255]


@given(
    hnp.arrays(
        st.sampled_from([np.int16, np.int32, np.int64, np.float32, np.float64]),
        st.tuples(st.integers(1, 40), st.just(1)),
        elements=st.integers(-30000, 30000),
    )
)
def test_any_sample_gives_usable_limits(sample):
    limits = ContrastLimits.from_sample(sample, per_channel=False)
    shown = limits.apply(sample[None])
    assert limits.low[0] < limits.high[0]
    order = np.argsort(sample[:, 0], kind="stable")
    assert (np.diff(shown[0, order, 0].astype(int)) >= 0).all()


def test_a_constant_picture_is_black():
    limits = ContrastLimits.from_sample(np.full((10, 1), 7, np.uint16), per_channel=False)
    assert not limits.apply(np.full((2, 5, 1), 7, np.uint16)).any()


def test_bright_specks_on_flat_ground_stay_visible():
    sample = np.zeros((100_000, 1), np.uint16)
    sample[:3] = 500
    limits = ContrastLimits.from_sample(sample, per_channel=False)
    assert limits.apply(sample[None])[0, 0, 0] == 255


@pytest.mark.parametrize(("low", "high"), [((1.0,), (1.0,)), ((2.0,), (1.0,)), ((0.0,), (float("nan"),)), ((), ())])
def test_unusable_limits_are_refused(low, high):
    with pytest.raises(InvalidInputError):
        ContrastLimits(low, high)


@given(hnp.arrays(np.float64, (7, 2), elements=st.floats(-1e30, 1e30)))
def test_limits_survive_being_stored(sample):
    limits = ContrastLimits.from_sample(sample, per_channel=True)
    assert ContrastLimits.from_dict(json.loads(json.dumps(limits.as_dict()))) == limits


@pytest.mark.parametrize(
    "stored", [{}, {"low": [1]}, {"low": 1, "high": 2}, {"low": ["a"], "high": [2]}, {"low": [2], "high": [1]}]
)
def test_what_is_no_stored_limits_is_refused(stored):
    with pytest.raises(InvalidInputError):
        ContrastLimits.from_dict(stored)
