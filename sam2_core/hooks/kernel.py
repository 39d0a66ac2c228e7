"""An implementation of one of this project's torch operators on one kind of device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sam2_core.errors import InvalidInputError
from sam2_core.hooks.contributions import Contribution, require_callable


@dataclass(frozen=True, kw_only=True)
class Kernel(Contribution):
    """Another way to compute an operator; :func:`sam2_core.kernels.use_kernel` or ``SAM2_KERNELS`` chooses it.

    Attributes
    ----------
    operator : str
        Which one: "connected_components".
    device : str
        Type of the device whose tensors it takes: "cpu", "cuda", "mps", ….
    function : callable
        Takes and returns what the operator does; for connected components ``(masks) -> (labels, areas)``, see
        :func:`sam2_core.kernels.connected_components`.
    """

    operator: str
    device: str
    function: Callable[..., Any]

    def check(self) -> None:
        """Refuse one without an operator, a device or a function."""
        super().check()
        for attribute in ("operator", "device"):
            value = getattr(self, attribute)
            if not isinstance(value, str) or not value:
                raise InvalidInputError(f"{attribute} of the kernel {self.name!r} must be a name; got {value!r}.")
        require_callable(self.function, self, "function")
