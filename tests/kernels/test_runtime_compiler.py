"""Compiling the CUDA sources without a GPU, and the cache of compiled code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sam2_core.errors import MissingDependencyError
from sam2_core.kernels import runtime_compiler
from sam2_core.kernels.cuda_module import SOURCE_FOLDER, read_source
from sam2_core.kernels.runtime_compiler import (
    KernelCompilationError,
    architecture_for,
    cache_path,
    compile_cached,
    compile_source,
    compute_capabilities,
    forget_cached,
)

SOURCES = sorted(path.name for path in SOURCE_FOLDER.glob("*.cu"))
TINY = 'extern "C" __global__ void nothing() {}'


@pytest.fixture(scope="module")
def capabilities() -> tuple[int, ...]:
    try:
        return compute_capabilities()
    except MissingDependencyError as error:
        pytest.skip(f"needs NVRTC; install cuda-bindings and nvidia-cuda-nvrtc ({error})")


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("capability", [75, 80, 86, 90, 100, 120])
def test_every_source_becomes_ptx(name: str, capability: int, capabilities: tuple[int, ...]) -> None:
    if capability not in capabilities:
        pytest.skip(f"needs an NVRTC that knows compute capability {capability}; this one knows {capabilities}")
    source = read_source(name)
    ptx = compile_source(source, name, f"compute_{capability}").decode()
    assert f".target sm_{capability}" in ptx
    kernels = re.findall(r'extern "C" __global__ void (\w+)', source)
    assert kernels
    assert all(f".visible .entry {kernel}(" in ptx for kernel in kernels)
    # a local frame would mean registers spilt to memory
    assert ".local" not in ptx


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_becomes_machine_code(name: str, capabilities: tuple[int, ...]) -> None:
    newest = max(capabilities)
    assert compile_source(read_source(name), name, f"sm_{newest}").startswith(b"\x7fELF")


def test_an_error_in_a_kernel_shows_the_compilers_words(capabilities: tuple[int, ...]) -> None:
    with pytest.raises(KernelCompilationError, match="undefined"):
        compile_source("__global__ void broken() { missing(); }", "broken.cu", f"sm_{capabilities[0]}")


def test_unknown_architecture_is_refused(capabilities: tuple[int, ...]) -> None:
    with pytest.raises(KernelCompilationError, match="sm_1"):
        compile_source(TINY, "tiny.cu", "sm_1")


@pytest.mark.parametrize(
    ("capability", "expected"), [((9, 0), "sm_90"), ((8, 9), "compute_86"), ((12, 1), "compute_120")]
)
def test_architecture(capability: tuple[int, int], expected: str) -> None:
    assert architecture_for(capability, (75, 80, 86, 90, 120)) == expected


def test_a_gpu_too_old_is_refused() -> None:
    with pytest.raises(KernelCompilationError, match=re.escape("7.5 and newer, the GPU has 6.1")):
        architecture_for((6, 1), (75, 80))


def test_compiles_once_then_reads_the_cache(
    tmp_path: Path, capabilities: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    architecture = f"sm_{capabilities[-1]}"
    calls: list[str] = []
    compile_really = runtime_compiler.compile_source

    def counted(*arguments: Any) -> bytes:
        calls.append(arguments[1])
        return compile_really(*arguments)

    monkeypatch.setattr(runtime_compiler, "compile_source", counted)
    first = compile_cached(TINY, "tiny.cu", architecture, tmp_path / "kernels")
    assert compile_cached(TINY, "tiny.cu", architecture, tmp_path / "kernels") == first
    assert calls == ["tiny.cu"]
    assert [path.name for path in (tmp_path / "kernels").iterdir()] == [cache_path(TINY, "tiny.cu", architecture).name]
    forget_cached(TINY, "tiny.cu", architecture, tmp_path / "kernels")
    compile_cached(TINY, "tiny.cu", architecture, tmp_path / "kernels")
    assert len(calls) == 2


def test_the_cache_tells_sources_and_architectures_apart(capabilities: tuple[int, ...]) -> None:
    paths = {cache_path(source, "tiny.cu", target) for source in (TINY, TINY + " ") for target in ("sm_80", "sm_90")}
    assert len(paths) == 4


def test_a_cache_that_cannot_be_written_costs_only_time(
    tmp_path: Path, capabilities: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    occupied = tmp_path / "a file, not a folder"
    occupied.write_text("")
    assert compile_cached(TINY, "tiny.cu", f"sm_{capabilities[-1]}", occupied / "kernels")
    assert "could not be kept" in caplog.text


def test_missing_nvrtc_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cuda.bindings", None)
    with pytest.raises(MissingDependencyError, match="pip install cuda-bindings"):
        runtime_compiler.nvrtc_module()
