"""A plugin made of what a test gives it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from sam2_core.hooks import Contribution, Plugins, Selection, hookimpl
from sam2_core.hooks.specification import HOOK_OF_KIND


def plugin_adding(*contributions: Contribution) -> ModuleType:
    """A module whose hooks add contributions of any kinds."""
    plugin = ModuleType("given")
    for kind, hook in HOOK_OF_KIND.items():
        chosen = [one for one in contributions if type(one) is kind]
        if chosen:
            setattr(plugin, hook, _hook(chosen, hook))
    return plugin


def _hook(chosen: list[Any], name: str) -> Any:
    def hook() -> list[Any]:
        return chosen

    hook.__name__ = name
    return hookimpl(hook)


def plugins_adding(*contributions: Contribution, installed: bool = False) -> Plugins:
    """Plugins with one that adds contributions, named "given"; beside the built-in ones, or alone."""
    plugins = Plugins(Selection(only_builtin=True), strict=True)
    if installed:
        plugins.load_installed()
    plugins.register(plugin_adding(*contributions), name="given")
    plugins.strict = False
    return plugins
