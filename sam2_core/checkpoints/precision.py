"""Device and number format of a model, chosen once.

bf16 halves the memory traffic and, on hardware with matrix units for it, more than halves the time; on other hardware
it is emulated and slower than fp32. So "auto" asks the hardware, not the library's willingness to run it.
"""

from __future__ import annotations

from pathlib import Path

import torch

from sam2_core.errors import InvalidInputError, InvalidTypeError

_DTYPES = {
    "fp32": torch.float32,
    "float32": torch.float32,
    "bf16": torch.bfloat16,
    "bfloat16": torch.bfloat16,
    "fp16": torch.float16,
    "float16": torch.float16,
}


def resolve_device(device: str | torch.device | None = None) -> torch.device:
    """The device a model runs on.

    Parameters
    ----------
    device : str, torch.device or None
        ``None`` or ``"auto"`` takes CUDA where there is a GPU, then Apple's MPS, then the CPU. Anything else is
        what torch understands.

    Returns
    -------
    torch.device
        A device of this machine.

    Raises
    ------
    InvalidInputError
        When the device is not one torch knows, or this machine lacks it.
    """
    if device is None or device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise InvalidInputError(f"unknown device {device!r}: expected 'auto', 'cpu', 'cuda:0', 'mps', …") from error
    if resolved.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (resolved.index or 0) >= count:
            raise InvalidInputError(
                f"device {str(resolved)!r} was asked for, but torch {torch.__version__} sees {count} CUDA GPUs here; "
                "use device='cpu' (or 'auto'), or install a CUDA build of torch and a driver"
            )
    if resolved.type == "mps" and not torch.backends.mps.is_available():
        raise InvalidInputError("device 'mps' was asked for, but this machine has none; use device='cpu' or 'auto'")
    return resolved


def resolve_precision(precision: str | torch.dtype = "auto", device: str | torch.device | None = None) -> torch.dtype:
    """The number format of a model's weights and activations.

    Parameters
    ----------
    precision : {"auto", "fp32", "bf16", "fp16"} or torch.dtype
        ``"auto"`` is bf16 where the device is fast at it (:func:`fast_at_bf16`) and fp32 elsewhere.
    device : str, torch.device or None
        Where the model will run.

    Returns
    -------
    torch.dtype
        ``torch.float32``, ``torch.bfloat16`` or ``torch.float16``.

    Raises
    ------
    InvalidInputError
        When the precision is none of these.
    InvalidTypeError
        When it is neither a string nor a dtype.
    """
    if isinstance(precision, torch.dtype):
        if precision not in _DTYPES.values():
            raise InvalidInputError(f"a model runs in float32, bfloat16 or float16, not in {precision}")
        return precision
    if not isinstance(precision, str):
        raise InvalidTypeError(f"precision is a string or a torch.dtype, got {type(precision).__name__}")
    if precision == "auto":
        return torch.bfloat16 if fast_at_bf16(resolve_device(device)) else torch.float32
    if precision not in _DTYPES:
        raise InvalidInputError(f"unknown precision {precision!r}: expected 'auto', 'fp32', 'bf16' or 'fp16'")
    return _DTYPES[precision]


def fast_at_bf16(device: torch.device) -> bool:
    """Whether a device computes bf16 products in hardware.

    Parameters
    ----------
    device : torch.device
        A device of this machine.

    Returns
    -------
    bool
        True for CUDA GPUs of compute capability 8.0 (Ampere) and newer, ROCm GPUs that report it, and CPUs with AMX
        or AVX-512 BF16.
    """
    if device.type == "cuda":
        if torch.version.hip is not None:
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and _cpu_has_bf16_units()


def _cpu_has_bf16_units() -> bool:
    answers = []
    for probe in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        # private names of torch: present since 2.5 on x86, absent elsewhere and maybe in some future version
        function = getattr(torch.cpu, probe, None)
        if function is not None:
            answers.append(bool(function()))
    if answers:
        return any(answers)
    try:
        words = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return False
    return not {"amx_bf16", "avx512_bf16"}.isdisjoint(words)
