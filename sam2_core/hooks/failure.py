"""What is kept of a plugin that went wrong."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Literal, TypeAlias

Phase: TypeAlias = Literal["import", "register", "collect", "call"]


@dataclass(frozen=True)
class PluginFailure:
    """One thing that went wrong in a plugin.

    Attributes
    ----------
    plugin : str
        The plugin's name, which is that of its entry point.
    distribution, version : str
        The installed distribution it came with; empty for one that was registered by hand.
    phase : {"import", "register", "collect", "call"}
        Whether loading it failed, registering its hooks, asking it what it adds, or calling what it added.
    where : str
        The hook or the contribution that failed; the entry point's value while importing.
    message : str
        The error in one line.
    traceback : str
        The whole of it.
    """

    plugin: str
    distribution: str
    version: str
    phase: Phase
    where: str
    message: str
    traceback: str

    @classmethod
    def of(
        cls, error: BaseException, *, plugin: str, distribution: str, version: str, phase: Phase, where: str
    ) -> PluginFailure:
        """Put an error on record."""
        return cls(
            plugin=plugin,
            distribution=distribution,
            version=version,
            phase=phase,
            where=where,
            message=f"{type(error).__name__}: {error}",
            traceback="".join(traceback.format_exception(error)),
        )

    def __str__(self) -> str:
        source = f" ({self.distribution} {self.version})" if self.distribution else ""
        return f"plugin {self.plugin}{source} failed in phase {self.phase}, {self.where}: {self.message}"
