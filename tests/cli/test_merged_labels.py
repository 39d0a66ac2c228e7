from __future__ import annotations

import numpy as np
import pytest
import tifffile

from sam2_core.cli.merged_labels import MergedLabels


def test_the_surer_mask_has_the_pixel_in_whatever_order(tmp_path):
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 5, (3, 4, 9, 8)).astype(np.float32)
    ids = np.array([5, 2, 900])
    expected = np.where(logits.max(axis=0) > 0, ids[logits.argmax(axis=0)], 0)
    with MergedLabels(tmp_path / "labels.tif", 4, (9, 8), axis="z") as labels:
        for index in (3, 0, 1, 2):
            for number in generator.permutation(3):
                labels.merge(index, [int(ids[number])], logits[number, index][None])
        for index in (2, 0):
            labels.merge(index, ids.tolist(), logits[:, index])
        assert np.array_equal(labels.read(1), expected[1])
        assert [index for index, _ in labels.frames()] == [0, 1, 2, 3]
    assert np.array_equal(tifffile.imread(tmp_path / "labels.tif"), expected)
    assert [path.name for path in tmp_path.iterdir()] == ["labels.tif"]


def test_extreme_logits(tmp_path):
    with MergedLabels(tmp_path / "labels.tif", 1, (1, 4)) as labels:
        labels.merge(0, [1], np.array([[[1e-9, 0.0, -1024.0, 1e30]]], np.float32))
        assert labels.read(0).tolist() == [[1, 0, 0, 1]]


def test_nothing_is_left_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), MergedLabels(tmp_path / "labels.tif", 2, (3, 4)):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
