from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sam2_core.cli import plane_labels
from sam2_core.cli.plane_labels import SparseLabels, bands
from sam2_core.cli.prompts import MaskCrop


@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 12))
def test_bands_of_sparse_masks_are_the_masks_painted(seed, count, band_rows):
    chance = np.random.default_rng(seed)
    expected = np.zeros((12, 9), np.int32)
    masks = []
    for object_id in chance.permutation(50)[:count].tolist():
        mask = chance.random((12, 9)) < 0.2
        mask[chance.integers(12), chance.integers(9)] = True
        masks.append((object_id + 1, MaskCrop.of(mask)))
        expected[mask] = object_id + 1
    labels = SparseLabels((12, 9), (), masks)
    parts = [labels.rows(top, min(12, top + band_rows)) for top in range(0, 12, band_rows)]
    assert np.array_equal(np.concatenate(parts), expected)


def test_bands_cover_all_rows(monkeypatch):
    monkeypatch.setattr(plane_labels, "BAND_PIXELS", 100)
    assert list(bands((25, 10))) == [(0, 10), (10, 20), (20, 25)]
    assert list(bands((2, 1000))) == [(0, 1), (1, 2)]
