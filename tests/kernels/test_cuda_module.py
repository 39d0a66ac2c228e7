"""How a module talks to the CUDA driver, heard by a driver that only takes notes: no GPU is needed."""

from __future__ import annotations

import ctypes
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sam2_core.errors import MissingDependencyError
from sam2_core.kernels import cuda_module
from sam2_core.kernels.cuda_module import CudaModule, KernelLaunchError

OK, BAD = 0, 200


class Driver:
    """The few driver functions that are used; `damaged` is code it does not load."""

    CUresult = SimpleNamespace(CUDA_SUCCESS=OK)

    def __init__(self, damaged: bytes = b"damaged") -> None:
        self.damaged = damaged
        self.context = 0
        self.launches: list[tuple[Any, ...]] = []
        self.looked_up: list[bytes] = []
        self.launch_answer = OK

    def cuDeviceGet(self, index: int) -> tuple[int, int]:
        return OK, index

    def cuDevicePrimaryCtxRetain(self, device: int) -> tuple[int, int]:
        return OK, 70 + device

    def cuCtxGetCurrent(self) -> tuple[int, int]:
        return OK, self.context

    def cuCtxSetCurrent(self, context: int) -> tuple[int]:
        self.context = context
        return (OK,)

    def cuModuleLoadData(self, binary: bytes) -> tuple[int, Any]:
        return (BAD, None) if binary == self.damaged else (OK, binary)

    def cuModuleGetFunction(self, module: Any, name: bytes) -> tuple[int, Any]:
        self.looked_up.append(name)
        return OK, (module, name)

    def cuLaunchKernel(self, *arguments: Any) -> tuple[int]:
        self.launches.append(arguments)
        return (self.launch_answer,)

    def cuGetErrorString(self, code: int) -> tuple[int, bytes]:
        return OK, b"device kernel image is invalid"


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A driver on a machine whose GPU 1 has compute capability 9.0; what is compiled is called b"good"."""
    driver = Driver()
    monkeypatch.setattr(cuda_module, "_driver_module", lambda: driver)
    monkeypatch.setattr(cuda_module, "compute_capabilities", lambda: (80, 90))
    monkeypatch.setattr(cuda_module, "compile_cached", lambda source, name, architecture: b"good")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (9, 0))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda index: SimpleNamespace(cuda_stream=500 + index))
    return driver


def test_a_launch_carries_addresses_numbers_and_the_current_stream(driver: Driver) -> None:
    module = CudaModule("connected_components.cu", 1)
    tensor = torch.zeros(3)
    for _ in range(2):
        module.launch("start_runs", (4, 5, 6), (32, 8, 1), (tensor, 7))

    assert driver.context == 71
    assert driver.looked_up == [b"start_runs"]  # once
    assert (
        driver.launches
        == [
            (
                (b"good", b"start_runs"),
                *(4, 5, 6),
                *(32, 8, 1),
                0,
                501,
                ((tensor.data_ptr(), 7), (ctypes.c_void_p, ctypes.c_int)),
                0,
            )
        ]
        * 2
    )


def test_a_thread_that_has_a_context_keeps_it(driver: Driver) -> None:
    driver.context = 9
    CudaModule("connected_components.cu", 1).launch("start_runs", (1, 1, 1), (1, 1, 1), ())

    assert driver.context == 9


def test_a_damaged_file_of_the_cache_is_compiled_anew(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [b"damaged"]
    forgotten = []

    def forget(source: str, name: str, architecture: str) -> None:
        forgotten.append(architecture)
        kept[0] = b"good"

    monkeypatch.setattr(cuda_module, "compile_cached", lambda *_: kept[0])
    monkeypatch.setattr(cuda_module, "forget_cached", forget)
    CudaModule("connected_components.cu", 0).launch("write_labels", (1, 1, 1), (1, 1, 1), ())

    assert forgotten == ["sm_90"]
    assert driver.launches[0][0] == (b"good", b"write_labels")


def test_what_the_driver_refuses_is_told_in_its_words(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    module = CudaModule("connected_components.cu", 1)
    driver.launch_answer = BAD
    with pytest.raises(KernelLaunchError, match=r"connected_components\.cu, device 1: device kernel image is invalid"):
        module.launch("start_runs", (1, 1, 1), (1, 1, 1), ())
    monkeypatch.setattr(cuda_module, "compile_cached", lambda *_: b"damaged")
    monkeypatch.setattr(cuda_module, "forget_cached", lambda *_: None)
    with pytest.raises(KernelLaunchError):
        CudaModule("connected_components.cu", 1)


def test_a_module_is_loaded_once_for_each_device(driver: Driver) -> None:
    cuda_module._loaded.cache_clear()
    try:
        first = cuda_module.cuda_module("connected_components.cu", 0)
        assert cuda_module.cuda_module("connected_components.cu", 0) is first
        assert cuda_module.cuda_module("connected_components.cu", 1) is not first
    finally:
        cuda_module._loaded.cache_clear()


def test_without_the_bindings_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(MissingDependencyError, match="pip install cuda-bindings"):
        CudaModule("connected_components.cu", 0)
