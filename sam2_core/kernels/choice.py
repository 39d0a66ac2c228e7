"""Which kernel computes an operator: the built-in one, unless a plugin's was chosen."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Final

from sam2_core.hooks import Kernel, Registered, get_plugins

KERNELS_VARIABLE: Final = "SAM2_KERNELS"

_chosen: dict[tuple[str, str], Registered[Kernel]] = {}
_environment_is_read = False
_lock = threading.Lock()


def use_kernel(name: str) -> None:
    """Compute an operator with the kernel of that name, on its kind of device, from now on and in this process.

    The environment variable ``SAM2_KERNELS`` (names with commas between) does the same from the start.

    Parameters
    ----------
    name : str
        Of a plugin's kernel, or of a built-in one to go back to it.

    Raises
    ------
    PluginError
        There is no such kernel.
    """
    _read_environment()
    _use(name)


def chosen_kernels() -> dict[tuple[str, str], str]:
    """Names of the kernels that were chosen, by operator and device type; those left out are built-in."""
    _read_environment()
    return {place: one.contribution.name for place, one in _chosen.items()}


def run_kernel(
    operator: str, device: str, built_in: Callable[..., Any], *tensors: Any, check: Callable[[Any], None]
) -> Any:
    """Compute an operator on tensors of a device, with the kernel that is chosen for it.

    Parameters
    ----------
    operator, device : str
    built_in : callable
        Used where none is chosen.
    *tensors
        For the kernel.
    check : callable
        Raises if what a plugin's kernel returned is wrong.
    """
    _read_environment()
    chosen = _chosen.get((operator, device))
    if chosen is None or chosen.contribution.function is built_in:
        return built_in(*tensors)
    return get_plugins().call(chosen, chosen.contribution.function, *tensors, check=check)


def _use(name: str) -> None:
    found = get_plugins().find(Kernel, name)
    _chosen[found.contribution.operator, found.contribution.device] = found


def _read_environment() -> None:
    global _environment_is_read
    if _environment_is_read:
        return
    with _lock:
        for name in os.environ.get(KERNELS_VARIABLE, "").split(","):
            if name.strip():
                _use(name.strip())
        _environment_is_read = True
