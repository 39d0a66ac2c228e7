"""CUDA C to machine code at run time (NVRTC), and the cache of what was compiled.

NVRTC comes with torch's CUDA build, as does ``cuda-bindings``, its Python interface: no nvcc and no headers are needed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import platformdirs

from sam2_core.errors import MissingDependencyError, Sam2Error

logger = logging.getLogger(__name__)

OPTIONS = ("--std=c++17", "--extra-device-vectorization")
REPLACE_ATTEMPTS = 5


class KernelCompilationError(Sam2Error, RuntimeError):
    """NVRTC refused a kernel; the message carries its log."""


def nvrtc_module() -> Any:
    """Return ``cuda.bindings.nvrtc``.

    Raises
    ------
    MissingDependencyError
        If ``cuda-bindings`` or the NVRTC library is not installed.
    """
    try:
        from cuda.bindings import nvrtc

        nvrtc.nvrtcVersion()  # the library itself is loaded by the first call
    except Exception as error:  # cuda.pathfinder has its own error for a library that is not there
        raise MissingDependencyError(
            "compiling a CUDA kernel needs NVRTC and the package cuda-bindings, which torch's CUDA builds bring along; "
            f"loading them failed with: {error}. Install them with `pip install cuda-bindings nvidia-cuda-nvrtc`"
        ) from error
    return nvrtc


def compute_capabilities() -> tuple[int, ...]:
    """Return the compute capabilities this NVRTC knows, as 10 * major + minor, lowest first."""
    nvrtc = nvrtc_module()
    _, capabilities = nvrtc.nvrtcGetSupportedArchs()
    return tuple(sorted(int(capability) for capability in capabilities))


def architecture_for(capability: tuple[int, int], known: tuple[int, ...]) -> str:
    """Choose what to compile for.

    Parameters
    ----------
    capability : tuple of int
        Compute capability of the device, (major, minor).
    known : tuple of int
        What NVRTC can compile for, as from :func:`compute_capabilities`.

    Returns
    -------
    str
        ``sm_90`` (machine code) where NVRTC knows the device; else the newest older ``compute_…``, whose PTX the driver
        translates.

    Raises
    ------
    KernelCompilationError
        If the device is older than all that NVRTC knows.
    """
    wanted = 10 * capability[0] + capability[1]
    if wanted in known:
        return f"sm_{wanted}"
    older = [candidate for candidate in known if candidate < wanted]
    if not older:
        raise KernelCompilationError(
            f"this NVRTC compiles for compute capability {known[0] / 10:.1f} and newer, the GPU has "
            f"{capability[0]}.{capability[1]}: install a torch built for an older CUDA, or move the tensors to the CPU"
        )
    return f"compute_{max(older)}"


def compile_source(source: str, name: str, architecture: str) -> bytes:
    """Compile CUDA C.

    Parameters
    ----------
    source : str
        CUDA C that includes nothing; its kernels are ``extern "C"``.
    name : str
        File name to show in messages.
    architecture : str
        ``sm_90`` for machine code (cubin), ``compute_90`` for PTX.

    Returns
    -------
    bytes
        What the driver's module loader takes: a cubin, or PTX with its closing zero.

    Raises
    ------
    KernelCompilationError
        If NVRTC finds an error; its log is in the message.
    MissingDependencyError
        If NVRTC is not there.
    """
    nvrtc = nvrtc_module()
    success = nvrtc.nvrtcResult.NVRTC_SUCCESS

    def checked(answer: tuple[Any, ...]) -> Any:
        if answer[0] != success:
            _, text = nvrtc.nvrtcGetErrorString(answer[0])
            raise KernelCompilationError(f"NVRTC on {name} for {architecture}: {text.decode()}")
        return answer[1] if len(answer) > 1 else None

    program = checked(nvrtc.nvrtcCreateProgram(source.encode(), name.encode(), 0, [], []))
    try:
        options = [option.encode() for option in (f"--gpu-architecture={architecture}", *OPTIONS)]
        answer = nvrtc.nvrtcCompileProgram(program, len(options), options)
        if answer[0] != success:
            log = b" " * checked(nvrtc.nvrtcGetProgramLogSize(program))
            checked(nvrtc.nvrtcGetProgramLog(program, log))
            raise KernelCompilationError(f"{name} does not compile for {architecture}:\n{log.decode().rstrip(chr(0))}")
        if architecture.startswith("sm_"):
            binary = b" " * checked(nvrtc.nvrtcGetCUBINSize(program))
            checked(nvrtc.nvrtcGetCUBIN(program, binary))
        else:
            binary = b" " * checked(nvrtc.nvrtcGetPTXSize(program))
            checked(nvrtc.nvrtcGetPTX(program, binary))
    finally:
        nvrtc.nvrtcDestroyProgram(program)
    return binary


def cache_folder() -> Path:
    """Return the folder of compiled kernels, inside the platform's cache folder."""
    return platformdirs.user_cache_path("sam2-lab", appauthor=False) / "kernels"


def cache_path(source: str, name: str, architecture: str, folder: Path | None = None) -> Path:
    """Return where the compiled ``source`` is kept: named by all that the result depends on."""
    _, major, minor = nvrtc_module().nvrtcVersion()
    digest = hashlib.sha256("\0".join((source, architecture, *OPTIONS, f"{major}.{minor}")).encode()).hexdigest()
    return (folder or cache_folder()) / f"{Path(name).stem}-{architecture}-{digest[:24]}.bin"


def compile_cached(source: str, name: str, architecture: str, folder: Path | None = None) -> bytes:
    """Return the compiled ``source`` from the cache on disk, compiling and storing it if it is not there.

    A cache that cannot be read or written costs the compilation (about 0.2 s), nothing else.
    Parameters and errors as for :func:`compile_source`; `folder` replaces :func:`cache_folder`.
    """
    path = cache_path(source, name, architecture, folder)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    except OSError as error:
        logger.warning("compiled kernel %s cannot be read (%s); compiling anew", path, error)
    binary = compile_source(source, name, architecture)
    try:
        _write_atomically(path, binary)
    except OSError as error:
        logger.warning("compiled kernel could not be kept at %s (%s); it will be compiled again next time", path, error)
    return binary


def forget_cached(source: str, name: str, architecture: str, folder: Path | None = None) -> None:
    """Remove the compiled ``source`` from the cache on disk, because it turned out to be damaged."""
    cache_path(source, name, architecture, folder).unlink(missing_ok=True)


def _write_atomically(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        for attempt in range(REPLACE_ATTEMPTS):
            try:
                os.replace(temporary, path)
                return
            except PermissionError:  # Windows: another process has the file open just now
                if attempt == REPLACE_ATTEMPTS - 1:
                    raise
                time.sleep(0.05 * (attempt + 1))
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
