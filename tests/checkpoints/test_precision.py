"""Device and number format: what "auto" takes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sam2_core.checkpoints import precision
from sam2_core.checkpoints.precision import fast_at_bf16, resolve_device, resolve_precision
from sam2_core.errors import InvalidInputError, InvalidTypeError

CPU = torch.device("cpu")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Pretend to be another machine."""

    def pretend(*, cuda: tuple[int, int] | None = None, gpus: int = 1, mps: bool = False, **cpu: bool) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda is not None)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus if cuda else 0)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: cuda)
        monkeypatch.setattr(torch.version, "hip", None)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
            monkeypatch.setattr(torch.cpu, name, lambda name=name: cpu.get(name, False), raising=False)

    return pretend


def test_the_best_device_is_taken(machine) -> None:  # type: ignore[no-untyped-def]
    machine(cuda=(9, 0), mps=True)
    assert resolve_device(None) == resolve_device("auto") == torch.device("cuda")
    machine(mps=True)
    assert resolve_device(None) == torch.device("mps")
    machine()
    assert resolve_device(None) == CPU


def test_a_device_that_was_named_is_taken(machine) -> None:  # type: ignore[no-untyped-def]
    machine(cuda=(9, 0), gpus=2)

    assert resolve_device("cpu") == CPU
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    assert resolve_device(torch.device("cuda")) == torch.device("cuda")


@pytest.mark.parametrize(
    ("device", "message"),
    [("cuda", "sees 0 CUDA GPUs"), ("cuda:3", "sees 0 CUDA GPUs"), ("mps", "has none"), ("gpu", "unknown device")],
)
def test_a_device_that_is_not_here_is_refused(machine, device: str, message: str) -> None:  # type: ignore[no-untyped-def]
    machine()
    with pytest.raises(InvalidInputError, match=message):
        resolve_device(device)


def test_a_gpu_too_many_is_refused(machine) -> None:  # type: ignore[no-untyped-def]
    machine(cuda=(9, 0), gpus=2)
    with pytest.raises(InvalidInputError, match="sees 2 CUDA GPUs"):
        resolve_device("cuda:2")


@pytest.mark.parametrize(
    ("hardware", "device", "expected"),
    [
        ({"cuda": (9, 0)}, "cuda", torch.bfloat16),
        ({"cuda": (8, 0)}, "cuda", torch.bfloat16),
        ({"cuda": (7, 5)}, "cuda", torch.float32),
        ({"cuda": (9, 0)}, "cpu", torch.float32),
        ({"mps": True}, "mps", torch.float32),
        ({"_is_amx_tile_supported": True}, "cpu", torch.bfloat16),
        ({"_is_avx512_bf16_supported": True}, "cpu", torch.bfloat16),
        ({}, "cpu", torch.float32),
    ],
)
def test_auto_is_bf16_only_where_it_is_fast(machine, hardware, device, expected) -> None:  # type: ignore[no-untyped-def]
    machine(**hardware)

    assert resolve_precision("auto", device) is expected


@pytest.mark.parametrize(
    ("flags", "fast"), [("fpu sse amx_bf16 amx_tile", True), ("avx512_bf16", True), ("avx512f amx_bf16x", False)]
)
def test_without_torchs_probes_the_kernel_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str, fast: bool
) -> None:
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags\t\t: {flags}\n", encoding="ascii")
    monkeypatch.setattr(precision, "Path", lambda name: tmp_path / "cpuinfo")

    assert fast_at_bf16(CPU) is fast

    monkeypatch.setattr(precision, "Path", lambda name: tmp_path / "nowhere")
    assert fast_at_bf16(CPU) is False


def test_this_machine_has_an_answer() -> None:
    assert resolve_precision("auto", "cpu") in (torch.float32, torch.bfloat16)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("fp32", torch.float32),
        ("float32", torch.float32),
        ("bf16", torch.bfloat16),
        ("fp16", torch.float16),
        (torch.bfloat16, torch.bfloat16),
    ],
)
def test_a_precision_that_was_named_is_taken(given: str | torch.dtype, expected: torch.dtype) -> None:
    assert resolve_precision(given, "cpu") is expected


@pytest.mark.parametrize("given", ["int8", "", torch.float64])
def test_other_precisions_are_refused(given: str | torch.dtype) -> None:
    with pytest.raises(InvalidInputError):
        resolve_precision(given, "cpu")


def test_a_precision_is_a_name_or_a_dtype() -> None:
    with pytest.raises(InvalidTypeError, match="got int"):
        resolve_precision(16, "cpu")  # type: ignore[arg-type]
