"""What a configuration chooses among the things plugins add: a name, or a name with options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sam2_core.errors import ConfigError
from sam2_core.hooks import Contribution, Registered, checked_options, get_plugins

Kind = TypeVar("Kind", bound=Contribution)
Returned = TypeVar("Returned")


@dataclass(frozen=True)
class Choice(Generic[Kind]):
    """One contribution and the options it is called with.

    Attributes
    ----------
    registered : Registered
    function : callable
        What the contribution holds.
    options : mapping of str to Any
        Checked.
    """

    registered: Registered[Kind]
    function: Callable[..., Any]
    options: Mapping[str, Any]

    @property
    def contribution(self) -> Kind:
        """What was chosen."""
        return self.registered.contribution

    def call(self, *arguments: Any, check: Callable[[Any], None] | None = None) -> Any:
        """Call it; see :meth:`~sam2_core.hooks.Plugins.call`.

        Raises
        ------
        PluginError
            It failed, or returned what cannot be used; names the plugin.
        """
        return get_plugins().call(self.registered, self.function, *arguments, check=check, **self.options)


def choose(kind: type[Kind], given: Any, where: str, function: Callable[[Kind], Callable[..., Any]]) -> Choice[Kind]:
    """Find what a configuration names, and look at the options it gives.

    Parameters
    ----------
    kind : type
        A subclass of :class:`~sam2_core.hooks.Contribution`.
    given : str or mapping
        A name, or ``{name: NAME, options: {…}}``.
    where : str
        Its place in the configuration, for messages.
    function : callable
        Takes the contribution and returns its callable, whose keyword-only parameters are the options.

    Raises
    ------
    ConfigError
        `given` is of another form.
    PluginError
        Nothing of this kind has that name.
    InvalidInputError, InvalidTypeError
        There is no such option, or its value cannot be used.
    """
    parts = {"name": given} if isinstance(given, str) else given
    if not isinstance(parts, Mapping) or not isinstance(parts.get("name"), str) or set(parts) - {"name", "options"}:
        raise ConfigError(f"{where} has to be a name or {{name: NAME, options: {{…}}}}; got {given!r}")
    options = parts.get("options") or {}
    if not isinstance(options, Mapping):
        raise ConfigError(f"{where}.options has to be a mapping; got {options!r}")
    registered = get_plugins().find(kind, parts["name"])
    chosen = function(registered.contribution)
    return Choice(registered, chosen, checked_options(chosen, {str(name): value for name, value in options.items()}))
