"""A command of a plugin's own under ``sam2``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sam2_core.hooks.contributions import Contribution, require_callable


@dataclass(frozen=True, kw_only=True)
class CliCommand(Contribution):
    """A command: ``sam2 NAME``.

    Attributes
    ----------
    function : callable
        As typer takes it: its parameters, annotated with ``typer.Argument`` or ``typer.Option``, are the command's, and
        its docstring is the help.
    """

    function: Callable[..., None]

    def check(self) -> None:
        """Refuse a command without a function."""
        super().check()
        require_callable(self.function, self, "function")
