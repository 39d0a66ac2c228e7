"""What a plugin can add: one small class a kind, with all that the host needs to know of it.

A contribution is data and callables. Classes here name no other part of the project, so that plugins can be listed and
checked without loading torch; what a callable gets and returns is written in its attribute's description.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

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


def require_callable(value: object, owner: Contribution, attribute: str) -> None:
    """Refuse an attribute that must be callable and is not."""
    if not callable(value):
        raise InvalidTypeError(
            f"{attribute} of the {type(owner).__name__} {owner.name!r} must be callable; got {value!r}."
        )
