"""Typed options as the browser's forms know them."""

from __future__ import annotations

import enum
import types
from collections.abc import Callable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from sam2_core.hooks import Option, options_of

_KINDS = {bool: "bool", int: "int", float: "float", str: "text"}


def fields_of(function: Callable[..., Any]) -> list[dict[str, Any]]:
    """Describe the options of a contribution.

    Parameters
    ----------
    function : callable
        See :func:`sam2_core.hooks.options_of`.

    Returns
    -------
    list of dict
        name, kind ("bool", "int", "float", "text", "choice", or "other", which a form leaves at its default), default,
        min, max, choices, optional.
    """
    return [field_of(option) for option in options_of(function)]


def field_of(option: Option) -> dict[str, Any]:
    """Describe one option, as :func:`fields_of` does."""
    annotation = option.annotation
    settings: dict[str, Any] = {}
    if get_origin(annotation) is Annotated:
        annotation, *notes = get_args(annotation)
        for note in notes:
            if isinstance(note, dict):
                settings |= note
    inner = [one for one in _members(annotation) if one is not type(None)]
    wanted = inner[0] if len(inner) == 1 else None
    field = {
        "name": option.name,
        "kind": _KINDS.get(wanted, "other") if isinstance(wanted, type) else "other",
        "default": option.default,
        "min": settings.get("min"),
        "max": settings.get("max"),
        "choices": None,
        "optional": len(inner) < len(_members(annotation)),
    }
    choices = settings.get("choices")
    if get_origin(wanted) is Literal:
        choices = get_args(wanted)
    if choices is not None and all(isinstance(one, str | int | float | bool) for one in choices):
        field |= {"kind": "choice", "choices": list(choices)}
    if isinstance(wanted, type) and issubclass(wanted, enum.Enum):
        field["kind"] = "other"
    if field["kind"] == "other":
        field["default"] = None
    return field


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
