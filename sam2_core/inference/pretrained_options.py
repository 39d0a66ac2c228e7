"""What the keyword arguments of ``from_pretrained`` are for: the predictor, or the building of its model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from sam2_core.errors import InvalidTypeError


def split_options(kind: type, options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell the options of a class from all others.

    Parameters
    ----------
    kind : type
        The class; options of its base classes are its own too.
    options : mapping of str to Any

    Returns
    -------
    own, others : dict of str to Any
    """
    names = {
        name
        for base in kind.__mro__
        for name, parameter in inspect.signature(base.__init__).parameters.items()  # type: ignore[misc]
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    own = {name: value for name, value in options.items() if name in names}
    return own, {name: value for name, value in options.items() if name not in own}


def as_overrides(options: Mapping[str, Any]) -> list[str]:
    """Write options of a model as overrides of its configuration, in Hydra's grammar.

    Raises
    ------
    InvalidTypeError
        A value that is neither a number, nor a truth value, nor a text, nor None.
    """
    overrides = []
    for name, value in options.items():
        if value is not None and not isinstance(value, bool | int | float | str):
            raise InvalidTypeError(f"{name} is a number, True, False, a text or None; got {type(value).__name__}")
        written = "null" if value is None else str(value).lower() if isinstance(value, bool) else value
        overrides.append(f"++model.{name}={written}")
    return overrides
