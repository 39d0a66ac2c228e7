"""Mesa's OpenGL and triton bring an LLVM each: a process that has loaded the first crashes when it loads the second."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path


def keep_triton_out() -> None:
    """Have torch do without triton in this process, where it would end it; to be called before torch is imported.

    torch imports triton with its optimisers and with torchvision's operators, if it is installed, and goes on without
    where it is not. Only compiled networks on a GPU need it, and those work in a process of their own.
    """
    if "triton" not in sys.modules and has_llvm():
        sys.modules["triton"] = None  # type: ignore[assignment]


def has_llvm() -> bool:
    """Whether this process has loaded the LLVM library of the system, as Mesa does to draw without or on some GPUs."""
    with suppress(OSError):
        return "libLLVM" in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    return False
