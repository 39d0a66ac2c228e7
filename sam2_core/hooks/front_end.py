"""Somewhere to look at a stack and work on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sam2_core.hooks.contributions import Contribution, require_callable
from sam2_core.hooks.options import options_of


@dataclass(frozen=True, kw_only=True)
class FrontEnd(Contribution):
    """Opens a stack or a session: ``sam2 open SOURCE --in NAME``.

    Attributes
    ----------
    open : callable
        ``open(source: str, *, …options) -> None``: `source` is the path or URL of an image, or the folder of a session.
        It returns when the person is done. Its keyword-only parameters are the options.
    """

    open: Callable[..., None]

    def check(self) -> None:
        """Refuse what cannot be called, and options of which no form can be made."""
        super().check()
        require_callable(self.open, self, "open")
        list(options_of(self.open))
