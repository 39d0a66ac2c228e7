"""The operator sam2::connected_components: CPU path, registration, bad input; the CUDA path where there is a GPU."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.kernels import connected_components
from tests.kernels.mask_drawings import DRAWINGS, assert_same_components, draw, mask_batches

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
OPCHECK_SIZES = [(2, 1, 7, 9), (1, 1, 1, 5), (3, 1, 4, 1), (0, 1, 4, 4), (2, 1, 0, 3)]


def _check(masks: np.ndarray, device: str) -> None:
    labels, areas = connected_components(torch.from_numpy(masks).to(device))
    assert labels.device.type == areas.device.type == device
    assert_same_components(masks, labels.cpu().numpy(), areas.cpu().numpy())


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize("size", [(1, 1), (1, 201), (201, 1), (64, 64), (127, 129)])
def test_drawings(name: str, size: tuple[int, int]) -> None:
    _check(draw(name, *size)[None, None], "cpu")


@settings(max_examples=100, deadline=None)
@given(masks=mask_batches())
def test_any_batch(masks: np.ndarray) -> None:
    _check(masks, "cpu")


@given(shape=st.tuples(st.integers(0, 2), st.just(1), st.integers(0, 2), st.integers(0, 2)).filter(lambda s: 0 in s))
def test_nothing_gives_nothing(shape: tuple[int, ...]) -> None:
    labels, areas = connected_components(torch.zeros(shape, dtype=torch.bool))
    assert labels.shape == areas.shape == shape
    assert labels.dtype == areas.dtype == torch.int32


def test_any_nonzero_byte_is_foreground() -> None:
    masks = torch.tensor([[[[1, 2, 255, 0, 7]]]], dtype=torch.uint8)
    assert connected_components(masks)[1].tolist() == [[[[3, 3, 3, 0, 1]]]]


def test_a_strided_view_is_read_as_it_looks() -> None:
    masks = torch.from_numpy(draw("noise", 60, 50))[None, None]
    view = masks[..., ::2, ::3].transpose(2, 3)
    _check(view.numpy(), "cpu")
    assert torch.equal(connected_components(view)[1], connected_components(view.contiguous())[1])


@pytest.mark.parametrize("size", OPCHECK_SIZES)
def test_registration(size: tuple[int, ...]) -> None:
    torch.library.opcheck(torch.ops.sam2.connected_components, (torch.rand(size) > 0.5,))


def test_compiles_into_one_graph_for_any_size() -> None:
    @torch.compile(fullgraph=True, dynamic=True, backend="aot_eager")
    def largest(logits: torch.Tensor) -> torch.Tensor:
        return connected_components(logits > 0)[1].amax()

    for size in [(1, 1, 5, 6), (3, 1, 9, 4)]:
        assert largest(torch.ones(size)) == size[2] * size[3]


@pytest.mark.parametrize(
    ("masks", "error", "message"),
    [
        (np.ones((1, 1, 4, 4), bool), InvalidTypeError, "ndarray"),
        (torch.ones(1, 1, 4, 4), InvalidTypeError, "torch.float32"),
        (torch.ones(1, 1, 4, 4, dtype=torch.int32), InvalidTypeError, "torch.int32"),
        (torch.ones(4, 4, dtype=torch.bool), InvalidInputError, "(4, 4)"),
        (torch.ones(2, 3, 4, 4, dtype=torch.bool), InvalidInputError, "(2, 3, 4, 4)"),
        (torch.zeros(1, dtype=torch.bool).expand(1, 1, 2**16, 2**15), InvalidInputError, "65536 x 32768"),
    ],
)
def test_bad_input(masks: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        connected_components(masks)
    if isinstance(masks, torch.Tensor):
        with pytest.raises(error, match=re.escape(message)):
            torch.ops.sam2.connected_components(masks)


@pytest.mark.cuda
@needs_gpu
@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize("size", [(1, 1), (1, 2001), (2001, 1), (1024, 1024), (1023, 1021), (64, 70001), (1100001, 2)])
def test_drawings_on_cuda(name: str, size: tuple[int, int]) -> None:
    if name == "spiral" and size[0] * size[1] > 2**21:
        pytest.skip("needs minutes to draw")
    _check(draw(name, *size)[None, None], "cuda")


@pytest.mark.cuda
@needs_gpu
@settings(max_examples=300, deadline=None)
@given(masks=mask_batches(most_side=150))
def test_any_batch_on_cuda(masks: np.ndarray) -> None:
    _check(masks, "cuda")


@pytest.mark.cuda
@needs_gpu
def test_a_large_batch_on_cuda() -> None:
    masks = np.random.default_rng(0).random((70000, 1, 5, 7)) < 0.5
    labels, areas = (found.cpu().numpy() for found in connected_components(torch.from_numpy(masks).cuda()))
    some = np.r_[0:200, 65400:65700, 69900:70000]
    assert_same_components(masks[some], labels[some], areas[some])


@pytest.mark.cuda
@needs_gpu
def test_cuda_registration_streams_and_graphs() -> None:
    masks = torch.rand(4, 1, 256, 255, device="cuda") > 0.5
    torch.library.opcheck(torch.ops.sam2.connected_components, (masks,))
    expected = connected_components(masks)[1].cpu()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        on_side_stream = connected_components(masks)[1]
    stream.synchronize()
    assert torch.equal(on_side_stream.cpu(), expected)
    graph = torch.cuda.CUDAGraph()  # a call that waited for the GPU could not be captured
    with torch.cuda.graph(graph):
        captured = connected_components(masks)[1]
    graph.replay()
    torch.cuda.synchronize()
    assert torch.equal(captured.cpu(), expected)


@pytest.mark.cuda
@needs_gpu
def test_time_on_cuda(record_property: pytest.RecordProperty) -> None:
    masks = torch.from_numpy(
        scipy.ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(64, 1, 1024, 1024)), (0, 0, 8, 8)) > 0
    ).cuda()
    connected_components(masks)
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(10):
        labels, areas = connected_components(masks)
    torch.cuda.synchronize()
    record_property("microseconds per 1024x1024 mask", (time.perf_counter() - begin) / 10 / 64 * 1e6)
    assert_same_components(masks[:2].cpu().numpy(), labels[:2].cpu().numpy(), areas[:2].cpu().numpy())
