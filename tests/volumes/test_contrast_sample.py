from __future__ import annotations

import numpy as np
import pytest
import zarr

from sam2_core.errors import InvalidInputError
from sam2_core.volumes import open_volume
from sam2_core.volumes.contrast_sample import SAMPLE_CHUNKS, SAMPLE_PIXELS, SAMPLE_PLANES, sample_pixels
from tests.volumes.counting_store import CountingStore


def test_small_volumes_are_sampled_whole():
    pixels = np.random.default_rng(0).integers(0, 4000, (2, 3, 5, 8, 9)).astype(np.uint16)
    volume = open_volume(pixels, axes="tczyx")
    sample = sample_pixels(volume, {"t": 1}, (0, 2))
    assert sample.shape == (5 * 8 * 9, 2)
    assert np.array_equal(np.sort(sample[:, 1]), np.sort(pixels[1, 2].reshape(-1)))
    assert len(sample_pixels(volume, {}, (1,))) == 2 * 5 * 8 * 9


def test_few_planes_of_many_are_read(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", shape=(300, 64, 64), chunks=(1, 64, 64), dtype="u2")[:] = 1
    store = CountingStore(tmp_path / "a.zarr", read_only=True)
    volume = open_volume(zarr.open_array(store, mode="r"), axes="zyx")
    sample_pixels(volume, {}, (0,))
    assert len(store.reads) == SAMPLE_PLANES
    assert {"c/0/0/0", "c/299/0/0"} <= set(store.reads)


def test_few_pieces_of_large_planes_are_read(tmp_path):
    array = zarr.create_array(tmp_path / "a.zarr", shape=(8, 4096, 2048), chunks=(1, 512, 512), dtype="u1")
    array[3] = np.tile(np.arange(256, dtype=np.uint8), (4096, 8))
    array[6] = 1
    store = CountingStore(tmp_path / "a.zarr", read_only=True)
    volume = open_volume(zarr.open_array(store, mode="r"), axes="zyx")
    sample = sample_pixels(volume, {"z": 3}, (0,))
    assert len(store.reads) == SAMPLE_CHUNKS
    assert len(sample) <= SAMPLE_PIXELS
    assert len({key.split("/")[2] for key in store.reads}) == 8  # spread over all rows and columns of chunks
    assert len({key.split("/")[3] for key in store.reads}) == 4
    assert abs(sample.mean() - 127.5) < 1
    assert np.array_equal(sample, sample_pixels(volume, {"z": 3}, (0,)))


def test_thin_strips_are_put_together():
    class Strips:
        shape, dtype, chunks = (4, 3000, 2000), np.dtype(np.uint8), (1, 2, 2000)

        def __init__(self):
            self.read = []

        def __getitem__(self, index):
            self.read.append([part.stop - part.start for part in index])
            return np.zeros(self.read[-1], np.uint8)

    source = Strips()
    sample_pixels(open_volume(source, axes="zyx"), {}, (0,))
    assert len(source.read) <= SAMPLE_CHUNKS
    assert [1, 512, 2000] in source.read


def test_not_a_number_in_the_sample_is_refused():
    pixels = np.zeros((3, 8, 8), np.float32)
    pixels[2, 1, 1] = np.inf
    with pytest.raises(InvalidInputError, match=r"NaN or infinite values \(z 2"):
        sample_pixels(open_volume(pixels, axes="zyx"), {}, (0,))
