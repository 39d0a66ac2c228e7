"""Options of a contribution: the keyword-only parameters of its callable, from which forms and command lines are made.

magicgui makes a form of the same signature, and reads the same settings: ``Annotated[float, {"min": 0, "max": 1}]``.
"""

from __future__ import annotations

import enum
import functools
import inspect
import math
import operator
import pathlib
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from sam2_core.errors import InvalidInputError, InvalidTypeError


@dataclass(frozen=True)
class Option:
    """One option of a contribution, as its callable's signature declares it.

    Attributes
    ----------
    name : str
    annotation : Any
        The type, ``Annotated`` with magicgui's settings where the author gave some.
    default : Any
    """

    name: str
    annotation: Any
    default: Any


def options_of(function: Callable[..., Any]) -> Iterator[Option]:
    """List the options of a callable: its keyword-only parameters, each with a type and a default.

    Parameters
    ----------
    function : callable
        With positional parameters for what the host passes, and keyword-only ones for what a person chooses.

    Raises
    ------
    InvalidInputError
        An option without a type or without a default, or of a type that is not known where the function is.
    """
    parameters = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    hints = _hints(function, parameters)
    for parameter in parameters:
        name = parameter.name
        if name not in hints or parameter.default is inspect.Parameter.empty:
            raise InvalidInputError(
                f"Option {name!r} of {_name(function)} needs a type and a default, such as `{name}: float = 0.5`, so "
                "that forms can be made of it."
            )
        yield Option(name, hints[name], parameter.default)


def checked_options(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Look at options before a callable gets them.

    Parameters
    ----------
    function : callable
        See :func:`options_of`.
    given : mapping of str to Any
        Names and values; those left out have their defaults.

    Returns
    -------
    dict of str to Any
        As given, whole numbers as ``float`` where that is the type.

    Raises
    ------
    InvalidInputError
        There is no such option, or the value is outside what its type and its "min" and "max" allow.
    InvalidTypeError
        The value is of another type.
    """
    known = {option.name: option for option in options_of(function)}
    _require_known(function, known, given)
    return {name: _checked(known[name], known[name].annotation, value) for name, value in given.items()}


def parsed_options(function: Callable[..., Any], given: Mapping[str, str]) -> dict[str, Any]:
    """Read options that were written as text, as on a command line.

    Parameters
    ----------
    function : callable
        See :func:`options_of`.
    given : mapping of str to str
        Names and values: numbers, words, yes and no, "none", and for tuples their items with commas between.

    Returns
    -------
    dict of str to Any
        Checked as :func:`checked_options` does.

    Raises
    ------
    InvalidInputError, InvalidTypeError
        There is no such option, or its value cannot be read.
    """
    known = {option.name: option for option in options_of(function)}
    _require_known(function, known, given)
    read = {name: _parsed(known[name], known[name].annotation, text) for name, text in given.items()}
    return checked_options(function, read)


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", function))


def _hints(function: Callable[..., Any], parameters: list[inspect.Parameter]) -> dict[str, Any]:
    """The types of some parameters; those of the others may name what is only imported for type checkers."""
    annotated = {one.name: one.annotation for one in parameters if one.annotation is not inspect.Parameter.empty}
    inner = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inner.func
    scope = getattr(inner, "__globals__", None) or vars(sys.modules[type(inner).__module__])
    holder = types.SimpleNamespace(__annotations__=annotated)
    try:
        return get_type_hints(holder, globalns=scope, include_extras=True)
    except NameError as error:
        raise InvalidInputError(
            f"The type of an option of {_name(function)} is not known: {error}. Import it where the plugin is, "
            "not only for type checkers."
        ) from error


def _require_known(function: Callable[..., Any], known: Mapping[str, Option], given: Mapping[str, Any]) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        there_are = f"options are {', '.join(known)}" if known else "it has none"
        raise InvalidInputError(f"{_name(function)} has no option {', '.join(unknown)}; {there_are}.")


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """The members of a union; a type by itself is its only one."""
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _checked(option: Option, annotation: Any, value: Any) -> Any:
    if get_origin(annotation) is Annotated:
        inner, *settings = get_args(annotation)
        return _within(option, settings, _checked(option, inner, value))
    alternatives = _alternatives(annotation)
    if value is None and type(None) in alternatives:
        return None
    alternatives = tuple(one for one in alternatives if one is not type(None))
    if len(alternatives) != 1:
        return value  # of several types, or of one that only the callable knows: it looks for itself
    (wanted,) = alternatives
    if get_origin(wanted) is Literal:
        if value not in get_args(wanted):
            raise InvalidInputError(f"{option.name} is one of {_listed(get_args(wanted))}; got {value!r}.")
        return value
    if wanted is float:
        return _number(option, value)
    if wanted is int:
        return _whole(option, value)
    if wanted in (bool, str) or (isinstance(wanted, type) and issubclass(wanted, enum.Enum)):
        if not isinstance(value, wanted):
            raise InvalidTypeError(f"{option.name} is a {wanted.__name__}; got {value!r}.")
        return value
    return value


def _number(option: Option, value: Any) -> float:
    if isinstance(value, bool | str) or not hasattr(type(value), "__float__"):
        raise InvalidTypeError(f"{option.name} is a number; got {value!r}.")
    number = float(value)
    if math.isnan(number):
        raise InvalidInputError(f"{option.name} is a number; got {value!r}.")
    return number


def _whole(option: Option, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(type(value), "__index__"):
        raise InvalidTypeError(f"{option.name} is a whole number; got {value!r}.")
    return operator.index(value)


def _within(option: Option, settings: list[Any], value: Any) -> Any:
    bounds: dict[str, Any] = {}
    for one in settings:
        if isinstance(one, Mapping):
            bounds.update(one)
    low, high, choices = bounds.get("min"), bounds.get("max"), bounds.get("choices")
    if isinstance(value, int | float) and ((low is not None and value < low) or (high is not None and value > high)):
        between = " and ".join(
            [*([f"at least {low}"] if low is not None else []), *([f"at most {high}"] if high is not None else [])]
        )
        raise InvalidInputError(f"{option.name} is {between}; got {value!r}.")
    if isinstance(choices, list | tuple) and value not in choices:
        raise InvalidInputError(f"{option.name} is one of {_listed(choices)}; got {value!r}.")
    return value


def _parsed(option: Option, annotation: Any, text: str) -> Any:
    if get_origin(annotation) is Annotated:
        return _parsed(option, get_args(annotation)[0], text)
    alternatives = _alternatives(annotation)
    if type(None) in alternatives and text.strip().casefold() in ("none", ""):
        return None
    wanted = next((one for one in alternatives if one is not type(None)), str)
    try:
        return _read(wanted, text)
    except (ValueError, KeyError):
        raise InvalidInputError(f"{option.name} cannot be read from {text!r}; it is {_described(wanted)}.") from None


def _read(wanted: Any, text: str) -> Any:
    if wanted is bool:
        return {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}[text.strip().casefold()]
    if wanted in (int, float):
        return wanted(text)
    if get_origin(wanted) is Literal:
        return {str(one): one for one in get_args(wanted)}[text.strip()]
    if isinstance(wanted, type) and issubclass(wanted, enum.Enum):
        named = {one.name.casefold(): one for one in wanted} | {str(one.value).casefold(): one for one in wanted}
        return named[text.strip().casefold()]
    if get_origin(wanted) is tuple:
        parts, kinds = text.split(","), get_args(wanted)
        if kinds[-1] is Ellipsis:
            kinds = kinds[:1] * len(parts)
        if len(kinds) != len(parts):
            raise ValueError(text)
        return tuple(_read(kind, part) for kind, part in zip(kinds, parts, strict=True))
    if wanted is pathlib.Path:
        return pathlib.Path(text)
    return text


def _described(wanted: Any) -> str:
    words = {bool: "yes or no", int: "a whole number", float: "a number"}
    if wanted in words:
        return words[wanted]
    if get_origin(wanted) is Literal:
        return f"one of {_listed(get_args(wanted))}"
    if isinstance(wanted, type) and issubclass(wanted, enum.Enum):
        return f"one of {_listed([one.name.lower() for one in wanted])}"
    return f"a {getattr(wanted, '__name__', wanted)}"


def _listed(values: Any) -> str:
    return ", ".join(str(one) for one in values)
