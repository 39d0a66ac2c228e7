"""A reader of one kind of image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sam2_core.hooks.contributions import Contribution, require_callable


@dataclass(frozen=True, kw_only=True)
class VolumeReader(Contribution):
    """Opens one kind of source as a volume; :func:`sam2_core.open_volume` asks all of them.

    Attributes
    ----------
    matches : callable
        ``matches(source) -> int`` says how well it fits what the caller passed: 0 not at all, 1 perhaps (where nothing
        fits better), 2 surely, more to go before the built-in readers. Paths come as ``pathlib.Path``, URLs as ``str``.
        It looks at names and first bytes and does not open anything.
    open : callable
        ``open(source, options) -> Volume``, with options a :class:`sam2_core.volumes.OpenOptions` (``axes``, ``level``,
        ``series``). Errors that a user can act on are ``Sam2Error``.
    """

    matches: Callable[[Any], int]
    open: Callable[[Any, Any], Any]

    def check(self) -> None:
        """Refuse what cannot be called."""
        super().check()
        require_callable(self.matches, self, "matches")
        require_callable(self.open, self, "open")
