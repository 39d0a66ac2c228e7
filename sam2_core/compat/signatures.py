"""What ``inspect.signature`` says of functions that hand their arguments on."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def with_signature_of(original: Callable[..., Any]) -> Callable[[F], F]:
    """Let a function of ``*args`` and ``**kwargs`` show the parameters of the one that it hands them to."""

    def shown(function: F) -> F:
        function.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]
        return function

    return shown
