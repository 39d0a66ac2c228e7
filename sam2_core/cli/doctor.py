"""``sam2 doctor``: check that everything is in order on this machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from sam2_core import __version__
from sam2_core.cli import options
from sam2_core.cli.console import messages, output

_LIBRARIES = ("torch", "torchvision", "numpy", "tifffile", "imagecodecs", "pillow", "av", "connected-components-3d")
_KERNEL = "connected_components.cu"
_STYLES = {"ok": "green", "note": "yellow", "wrong": "red"}


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    state: Literal["ok", "note", "wrong"]
    subject: str
    detail: str


def doctor(
    checkpoint: options.Checkpoint = options.DEFAULT_CHECKPOINT,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    quick: Annotated[bool, typer.Option("--quick", help="Leave out loading the model and segmenting with it.")] = False,
) -> None:
    """Check this installation.

    Versions, device, precision, kernels, cache folder, and whether the model loads and segments.
    """
    checks: list[Callable[[], Iterator[Finding]]] = [
        _versions,
        lambda: _device(device, precision),
        _kernels,
        _cache,
    ]
    if not quick:
        checks.append(lambda: _model(checkpoint, device, precision))
    is_well = True
    for check in checks:
        try:
            for finding in check():
                is_well &= finding.state != "wrong"
                _print(finding)
        except Exception as error:  # a check that breaks is a finding, and the others still run
            is_well = False
            _print(Finding("wrong", check.__name__.strip("_<>"), f"{type(error).__name__}: {error}"))
    if not is_well:
        messages.print("Something is wrong: see the lines marked so above.", style="red")
        raise typer.Exit(1)


def _print(finding: Finding) -> None:
    output.print(f"[{_STYLES[finding.state]}]{finding.state:>5}[/]  {finding.subject}: ", end="")
    output.print(finding.detail, markup=False)


def _versions() -> Iterator[Finding]:
    yield Finding("ok", "sam2-lab", f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    found, missing = [], []
    for library in _LIBRARIES:
        try:
            found.append(f"{library} {importlib.metadata.version(library)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(library)
    yield Finding("ok", "libraries", ", ".join(found))
    if missing:
        yield Finding("wrong", "missing libraries", f"{', '.join(missing)}; reinstall sam2-lab")


def _device(device: str, precision: str) -> Iterator[Finding]:
    import torch

    from sam2_core.checkpoints.precision import fast_at_bf16, resolve_device, resolve_precision

    resolved = resolve_device(None if device == "auto" else device)
    name = (
        torch.cuda.get_device_name(resolved) if resolved.type == "cuda" else platform.processor() or platform.machine()
    )
    threads = f", {torch.get_num_threads()} threads" if resolved.type == "cpu" else ""
    yield Finding("ok", "device", f"{resolved} ({name}{threads})")
    dtype = resolve_precision(precision, resolved)
    if precision != "auto":
        reason = "asked for"
    elif fast_at_bf16(resolved):
        reason = "this device computes bf16 in hardware"
    else:
        reason = "this device is not fast at bf16"
    yield Finding("ok", "precision", f"{str(dtype).removeprefix('torch.')}: {reason}")
    if resolved.type == "cpu" and torch.version.cuda is not None and not torch.cuda.is_available():
        yield Finding("note", "GPU", "torch is built for CUDA, but finds no CUDA GPU; on one everything is much faster")


def _kernels() -> Iterator[Finding]:
    import torch

    from sam2_core.errors import Sam2Error
    from sam2_core.kernels import connected_components
    from sam2_core.kernels.cuda_module import read_source
    from sam2_core.kernels.runtime_compiler import cache_folder, compile_source

    mask = torch.tensor([[[[1, 0, 1], [0, 1, 0], [0, 0, 0]]]], dtype=torch.uint8)
    _, areas = connected_components(mask)
    if int(areas.max()) == 3:
        yield Finding("ok", "connected components on the CPU", "right")
    else:
        yield Finding("wrong", "connected components on the CPU", f"found areas {areas.tolist()}")
    try:
        code = compile_source(read_source(_KERNEL), _KERNEL, "compute_80")
    except Sam2Error as error:
        state: Literal["note", "wrong"] = "wrong" if torch.cuda.is_available() else "note"
        yield Finding(state, "CUDA kernels", f"cannot be compiled here ({error}); the CPU does their work")
    else:
        ran = "not run: no CUDA GPU here"
        if torch.cuda.is_available():
            _, on_gpu = connected_components(mask.cuda())
            ran = "right on the GPU" if torch.equal(on_gpu.cpu(), areas) else "WRONG on the GPU"
        yield Finding(
            "wrong" if "WRONG" in ran else "ok",
            "CUDA kernels",
            f"NVRTC compiles them ({len(code) / 1024:.0f} KiB of PTX), {ran}; kept in {cache_folder()}",
        )


def _cache() -> Iterator[Finding]:
    from sam2_core.checkpoints.cache import cache_folder, cached_checkpoint, is_offline
    from sam2_core.checkpoints.catalogue import known_models

    folder = cache_folder()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    writable = os.access(existing, os.W_OK)
    here = [
        entry.name for entry in known_models().values() if not entry.shipped and cached_checkpoint(entry) is not None
    ]
    yield Finding(
        "ok" if writable else "wrong",
        "checkpoint cache",
        f"{folder}{'' if writable else ' CANNOT BE WRITTEN'}; downloaded: {', '.join(here) or 'none'}"
        f"{'; downloads are switched off' if is_offline() else ''}",
    )


def _model(checkpoint: str, device: str, precision: str) -> Iterator[Finding]:
    import numpy as np

    from sam2_core.cli.models import load_predictor
    from sam2_core.cli.prompts import FramePrompt
    from sam2_core.cli.segmentation import segment_objects

    started = time.perf_counter()
    model = load_predictor(checkpoint, device, precision, quiet=True)
    loaded = time.perf_counter()
    count = sum(parameter.numel() for parameter in model.parameters())
    yield Finding("ok", "model", f"{checkpoint}, {count / 1e6:.1f} M parameters, loaded in {loaded - started:.1f} s")
    rows, columns = np.mgrid[:256, :256]
    disc = (rows - 120) ** 2 + (columns - 140) ** 2 < 30**2
    picture = np.where(disc, 200, 40).astype(np.uint8)
    prompt = FramePrompt(points=[(140.0, 120.0)], labels=[1])
    found = segment_objects(model, np.repeat(picture[..., None], 3, axis=2), [(1, prompt)], show_progress=False)[0]
    took = time.perf_counter() - loaded
    mask = found.logits > 0
    iou = float((mask & disc).sum() / (mask | disc).sum())
    if not np.isfinite(found.logits).all():
        yield Finding("wrong", "segmenting", "the model's answer is not finite; try --precision fp32")
    elif iou < 0.5:
        yield Finding("wrong", "segmenting", f"a bright disc was segmented with IoU {iou:.2f}; expected above 0.5")
    else:
        yield Finding("ok", "segmenting", f"one click on a bright disc: IoU {iou:.2f}, {took:.2f} s with encoding")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "probe").write_bytes(b"")
    yield Finding("ok", "scratch folder", f"{tempfile.gettempdir()} can be written, byte order {sys.byteorder}")
