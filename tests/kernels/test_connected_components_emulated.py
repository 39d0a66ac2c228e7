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
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.kernels.cuda_module import SOURCE_FOLDER
from tests.kernels.mask_drawings import DRAWINGS, assert_same_components, draw, mask_batches

HERE = Path(__file__).parent
COMPILER = shutil.which("g++") or shutil.which("clang++")

Emulated = Callable[..., tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Emulated:
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
    function = ctypes.CDLL(str(library)).emulated_connected_components

    def run(
        masks: np.ndarray, *, block_rows: int = 2, most_rows: int = 65535, most_images: int = 65535, seed: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        masks = np.ascontiguousarray(masks.astype(np.uint8) * 37)  # any nonzero byte is foreground
        labels, areas = (np.full(masks.shape, -1, np.int32) for _ in range(2))
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (masks, labels, areas)]
        images, _, height, width = masks.shape
        function(*pointers, images, height, width, block_rows, most_rows, most_images, 3, seed)
        return labels, areas

    return run


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize("size", [(1, 1), (1, 77), (77, 1), (2, 2), (65, 67), (64, 130), (131, 64)])
def test_drawings(emulated: Emulated, name: str, size: tuple[int, int]) -> None:
    masks = draw(name, *size)[None, None]
    for seed in range(2):
        assert_same_components(masks, *emulated(masks, seed=seed))


def test_labels_do_not_depend_on_the_order_of_threads(emulated: Emulated) -> None:
    masks = draw("noise", 70, 133)[None, None]
    first, _ = emulated(masks, seed=1)
    for seed in range(2, 6):
        assert np.array_equal(first, emulated(masks, seed=seed)[0])


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
