"""The CUDA source itself, compiled as C++ and run on emulated threads in random order, against scipy.

Without a GPU this is what runs the labelling logic: the same connected_components.cu, warps of 32 fibers, real
atomics on several operating-system threads (cuda_emulation.hpp).
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.kernels.cuda_module import SOURCE_FOLDER
from tests.kernels.mask_drawings import DRAWINGS, EIGHT_CONNECTED, assert_same_components, draw, mask_batches

HERE = Path(__file__).parent
COMPILER = shutil.which("g++") or shutil.which("clang++")

THREADS = 3

Emulated = Callable[..., tuple[np.ndarray, np.ndarray]]


def _pointers(*arrays: np.ndarray) -> list[ctypes.c_void_p]:
    return [array.ctypes.data_as(ctypes.c_void_p) for array in arrays]


@pytest.fixture(scope="module")
def emulation(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    if sys.platform != "linux":
        pytest.skip("needs Linux (the emulated threads are ucontext fibers)")
    if COMPILER is None:
        pytest.skip("needs a C++ compiler; install g++")
    library = tmp_path_factory.mktemp("emulation") / "connected_components.so"
    flags = ["-std=c++17", "-O1", "-Wall", "-Werror", "-fno-strict-aliasing", "-shared", "-fPIC", "-pthread"]
    subprocess.run(
        [COMPILER, *flags, "-I", HERE, "-I", SOURCE_FOLDER, HERE / "emulated_connected_components.cpp", "-o", library],
        check=True,
    )
    return ctypes.CDLL(str(library))


@pytest.fixture(scope="module")
def emulated(emulation: ctypes.CDLL) -> Emulated:
    def run(
        masks: np.ndarray, *, block_rows: int = 2, most_rows: int = 65535, most_images: int = 65535, seed: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        masks = np.ascontiguousarray(masks.astype(np.uint8) * 37)  # any nonzero byte is foreground
        labels, areas = (np.full(masks.shape, -1, np.int32) for _ in range(2))
        images, _, height, width = masks.shape
        emulation.emulated_connected_components(
            *_pointers(masks, labels, areas), images, height, width, block_rows, most_rows, most_images, THREADS, seed
        )
        return labels, areas

    return run


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize("size", [(1, 1), (1, 77), (77, 1), (2, 2), (65, 67), (64, 130), (131, 64)])
def test_drawings(emulated: Emulated, name: str, size: tuple[int, int]) -> None:
    masks = draw(name, *size)[None, None]
    for seed in range(2):
        assert_same_components(masks, *emulated(masks, seed=seed))


def _first_quads(mask: np.ndarray) -> np.ndarray:
    """The label of each pixel of (H, W): one more than the index of its component's first 2x2 quad; 0 outside."""
    components, count = scipy.ndimage.label(mask, EIGHT_CONNECTED)
    rows, columns = np.indices(mask.shape) // 2
    quads = rows * ((mask.shape[1] + 1) // 2) + columns
    first = scipy.ndimage.minimum(quads, components, np.arange(1, count + 1))
    return np.concatenate([[0], np.asarray(first, int).reshape(-1) + 1])[components]


@pytest.mark.parametrize("name", ["noise", "comb", "spiral"])
def test_labels_do_not_depend_on_the_order_of_threads(emulated: Emulated, name: str) -> None:
    mask = draw(name, 70, 133)
    for seed in range(12):
        labels, areas = emulated(mask[None, None], seed=seed)
        assert np.array_equal(labels[0, 0], _first_quads(mask))
        assert_same_components(mask[None, None], labels, areas)


@settings(max_examples=60, deadline=None)
@given(depth=st.integers(1, 40), seed=st.integers(0, 2**20))
def test_every_quad_ends_directly_below_its_root(emulation: ctypes.CDLL, depth: int, seed: int) -> None:
    """Trees far deeper than merging leaves: a thread that passes through another's quad must not undo its last word."""
    rows, columns = 6, 40
    random = np.random.default_rng(seed)
    quads = np.full((rows, columns), 15, np.uint8)
    parents, sums = np.zeros(rows * columns, np.int32), np.zeros(rows * columns, np.int32)
    for quad in range(1, parents.size):
        parents[quad] = random.integers(max(0, quad - depth), quad)
    emulation.emulated_sum_areas(*_pointers(quads, parents, sums), 2 * rows, 2 * columns, 2, THREADS, seed)
    assert not parents.any()
    assert sums[0] == 4 * quads.size
    assert not sums[1:].any()


def test_a_grid_smaller_than_the_batch_strides_over_it(emulated: Emulated) -> None:
    masks = np.stack([draw(name, 37, 41)[None] for name in DRAWINGS])
    for block_rows, most_rows, most_images in [(8, 1, 1), (1, 3, 2), (3, 2, 65535)]:
        assert_same_components(
            masks, *emulated(masks, block_rows=block_rows, most_rows=most_rows, most_images=most_images)
        )


@settings(max_examples=60, deadline=None)
@given(masks=mask_batches(most_side=70), seed=st.integers(0, 1000))
def test_any_batch(emulated: Emulated, masks: np.ndarray, seed: int) -> None:
    assert_same_components(masks, *emulated(masks, seed=seed))
