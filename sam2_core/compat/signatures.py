"""Functions that hand their arguments on to one of ours: what ``inspect.signature`` says, and the official defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

OFFICIAL_DEFAULTS: Mapping[str, Any] = MappingProxyType({"precision": "fp32"})
"""What builders and ``from_pretrained`` get unless the caller says otherwise; our own names choose for the machine."""


def with_signature_of(original: Callable[..., Any], **defaults: Any) -> Callable[[F], F]:
    """Let a function of ``*args`` and ``**kwargs`` show the parameters of the one that it hands them to.

    Parameters
    ----------
    original : callable
        The one whose parameters are shown.
    **defaults
        Other defaults than those of ``original``, which the function hands on where the caller gives none.
    """

    def shown(function: F) -> F:
        signature = inspect.signature(original)
        parameters = [
            parameter.replace(default=defaults.get(name, parameter.default))
            for name, parameter in signature.parameters.items()
        ]
        function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return function

    return shown
