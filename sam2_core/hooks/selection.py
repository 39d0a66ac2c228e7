"""Which of the installed plugins are wanted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from sam2_core.errors import InvalidInputError

#: The distribution whose plugins are the built-in features: ``only_builtin`` leaves them on.
OWN_DISTRIBUTION = "sam2-lab"

DENY_VARIABLE = "SAM2_PLUGINS_DENY"
ALLOW_VARIABLE = "SAM2_PLUGINS_ALLOW"
STRICT_VARIABLE = "SAM2_PLUGINS_STRICT"
ONLY_BUILTIN_VARIABLE = "SAM2_NO_PLUGINS"


@dataclass(frozen=True)
class Selection:
    """Which plugins are loaded, by the names of their entry points.

    Attributes
    ----------
    deny : frozenset of str
        Never loaded, built-in or not.
    allow : frozenset of str or None
        If given, the only plugins of other distributions that are loaded.
    only_builtin : bool
        Load what comes with sam2-lab itself and nothing else.
    """

    deny: frozenset[str] = frozenset()
    allow: frozenset[str] | None = None
    only_builtin: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Selection:
        """Read ``SAM2_PLUGINS_DENY``, ``SAM2_PLUGINS_ALLOW`` (names with commas between) and ``SAM2_NO_PLUGINS``.

        Raises
        ------
        InvalidInputError
            ``SAM2_NO_PLUGINS`` is neither a yes nor a no.
        """
        variables = os.environ if environment is None else environment
        allow = variables.get(ALLOW_VARIABLE)
        return cls(
            deny=_names(variables.get(DENY_VARIABLE, "")),
            allow=None if allow is None else _names(allow),
            only_builtin=is_yes(variables, ONLY_BUILTIN_VARIABLE),
        )

    def refusal(self, name: str, distribution: str) -> str:
        """Why a plugin is not loaded; empty if it is."""
        if name in self.deny:
            return "on the deny list"
        if distribution == OWN_DISTRIBUTION:
            return ""
        if self.only_builtin:
            return "only built-in plugins are wanted"
        if self.allow is not None and name not in self.allow:
            return "not on the allow list"
        return ""


def is_yes(variables: Mapping[str, str], name: str) -> bool:
    """Read a switch from the environment.

    Raises
    ------
    InvalidInputError
        It holds something else than 1, true, yes, 0, false, no or nothing.
    """
    value = variables.get(name, "").strip().casefold()
    if value in ("1", "true", "yes"):
        return True
    if value in ("", "0", "false", "no"):
        return False
    raise InvalidInputError(f"{name} is a switch: set it to 1 or 0, not {value!r}.")


def _names(text: str) -> frozenset[str]:
    return frozenset(name for name in (part.strip() for part in text.split(",")) if name)
