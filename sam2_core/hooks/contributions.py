"""What a plugin can add: one small class a kind, with all that the host needs to know of it.

A contribution is data and callables. Classes here name no other part of the project, so that plugins can be listed and
checked without loading torch; what a callable gets and returns is written in its attribute's description.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_type_hints

from sam2_core.errors import InvalidInputError, InvalidTypeError

_NAME = re.compile(r"[a-z0-9][a-z0-9_.+-]*")


@dataclass(frozen=True)
class Contribution:
    """Something a plugin adds.

    Attributes
    ----------
    name : str
        Unique among its kind: lower-case letters, digits, and ``_ . + -`` after the first character.
    summary : str
        One line for menus and lists.
    """

    name: str
    summary: str = ""

    def check(self) -> None:
        """Refuse what cannot work, before anything uses it.

        Raises
        ------
        InvalidInputError, InvalidTypeError
            Saying which attribute, what was expected and what it holds.
        """
        if not isinstance(self.name, str):
            raise InvalidTypeError(f"The name of a {type(self).__name__} must be a string; got {self.name!r}.")
        if not _NAME.fullmatch(self.name):
            raise InvalidInputError(
                f"{self.name!r} is no name for a {type(self).__name__}: use lower-case letters, digits and _ . + -, "
                "beginning with a letter or digit."
            )


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

    magicgui makes a form of the same signature, which is why an option needs both.

    Parameters
    ----------
    function : callable
        With positional parameters for what the host passes, and keyword-only ones for what a person chooses.

    Raises
    ------
    InvalidInputError
        An option without a type or without a default.
    """
    hints = get_type_hints(function, include_extras=True)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        name = parameter.name
        if name not in hints or parameter.default is inspect.Parameter.empty:
            raise InvalidInputError(
                f"Option {name!r} of {getattr(function, '__qualname__', function)!s} needs a type and a default, such "
                f"as `{name}: float = 0.5`, so that forms can be made of it."
            )
        yield Option(name, hints[name], parameter.default)


def require_callable(value: object, owner: Contribution, attribute: str) -> None:
    """Refuse an attribute that must be callable and is not."""
    if not callable(value):
        raise InvalidTypeError(
            f"{attribute} of the {type(owner).__name__} {owner.name!r} must be callable; got {value!r}."
        )
