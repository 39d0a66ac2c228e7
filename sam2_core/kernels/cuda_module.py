"""Kernels of one ``.cu`` file, loaded on one CUDA device and launched on torch's current stream."""

from __future__ import annotations

import ctypes
import threading
from functools import cache
from pathlib import Path
from typing import Any

import torch

from sam2_core.errors import MissingDependencyError, Sam2Error
from sam2_core.kernels.runtime_compiler import architecture_for, compile_cached, compute_capabilities, forget_cached

SOURCE_FOLDER = Path(__file__).parent
_load_lock = threading.Lock()


class KernelLaunchError(Sam2Error, RuntimeError):
    """The CUDA driver refused to load or to launch a kernel."""


def read_source(name: str) -> str:
    """Return the text of a ``.cu`` file of this package."""
    return (SOURCE_FOLDER / name).read_text(encoding="utf-8")


class CudaModule:
    """The compiled kernels of one ``.cu`` file on one device.

    Parameters
    ----------
    name : str
        File name, ``connected_components.cu``.
    device_index : int
        CUDA device, as torch counts them.

    Raises
    ------
    MissingDependencyError
        If ``cuda-bindings``, NVRTC or the driver is missing.
    KernelLaunchError
        If the driver does not take the compiled code.
    """

    def __init__(self, name: str, device_index: int) -> None:
        self.name = name
        self.device_index = device_index
        self._driver = _driver_module()
        source = read_source(name)
        architecture = architecture_for(torch.cuda.get_device_capability(device_index), compute_capabilities())
        device = self._checked(self._driver.cuDeviceGet(device_index))
        self._context = self._checked(self._driver.cuDevicePrimaryCtxRetain(device))
        self._make_context_current()
        try:
            self._module = self._load(compile_cached(source, name, architecture))
        except KernelLaunchError:
            # The cached file may be damaged (a full disk, a crash of the machine): once more from the source.
            forget_cached(source, name, architecture)
            self._module = self._load(compile_cached(source, name, architecture))
        self._functions: dict[str, Any] = {}

    def launch(
        self,
        kernel: str,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: tuple[torch.Tensor | int, ...],
    ) -> None:
        """Queue a kernel on torch's current stream of the device and return at once.

        Parameters
        ----------
        kernel : str
            Name of an ``extern "C"`` kernel.
        grid, block : tuple of int
            Blocks and threads per block, (x, y, z).
        arguments : tuple of Tensor or int
            A tensor goes in as its address, an int as a C ``int``.

        Raises
        ------
        KernelLaunchError
            If the driver refuses the launch.
        """
        self._make_context_current()
        function = self._functions.get(kernel)
        if function is None:
            function = self._functions[kernel] = self._checked(
                self._driver.cuModuleGetFunction(self._module, kernel.encode())
            )
        values = tuple(item.data_ptr() if isinstance(item, torch.Tensor) else item for item in arguments)
        types = tuple(ctypes.c_void_p if isinstance(item, torch.Tensor) else ctypes.c_int for item in arguments)
        stream = torch.cuda.current_stream(self.device_index).cuda_stream
        self._checked(self._driver.cuLaunchKernel(function, *grid, *block, 0, stream, (values, types), 0))

    def _load(self, binary: bytes) -> Any:
        return self._checked(self._driver.cuModuleLoadData(binary))

    def _make_context_current(self) -> None:
        # A thread that has not touched CUDA yet has no context, even inside torch's device guard; torch works in the
        # device's primary context, so that is the one to take.
        if int(self._checked(self._driver.cuCtxGetCurrent())) == 0:
            self._checked(self._driver.cuCtxSetCurrent(self._context))

    def _checked(self, answer: tuple[Any, ...]) -> Any:
        if answer[0] != self._driver.CUresult.CUDA_SUCCESS:
            _, text = self._driver.cuGetErrorString(answer[0])
            message = text.decode() if text else str(answer[0])
            raise KernelLaunchError(f"CUDA driver on {self.name}, device {self.device_index}: {message}")
        return answer[1] if len(answer) > 1 else None


def cuda_module(name: str, device_index: int) -> CudaModule:
    """Return the kernels of ``name`` on a device, compiled and loaded at the first call only."""
    with _load_lock:
        return _loaded(name, device_index)


@cache
def _loaded(name: str, device_index: int) -> CudaModule:
    return CudaModule(name, device_index)


def _driver_module() -> Any:
    try:
        from cuda.bindings import driver
    except ImportError as error:
        raise MissingDependencyError(
            "launching a CUDA kernel needs the package cuda-bindings, which torch's CUDA builds bring along: "
            "`pip install cuda-bindings`"
        ) from error
    return driver
