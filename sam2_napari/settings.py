"""The settings of this plugin, as napari's preferences keep them."""

from __future__ import annotations

from typing import Any, Final

PLUGIN: Final = "sam2-lab"

#: What holds where napari has no such setting: an older napari, or a plugin that is not installed but imported.
DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "model": {"name": "", "worker": "process"},
    "session": {"folder": "", "answers_at_once": True},
    "keys": {},
}


def setting(group: str, name: str, default: Any = None) -> Any:
    """The value of a setting, such as ``setting("model", "name")``."""
    fallback = DEFAULTS[group].get(name, default)
    try:
        from napari.settings import get_plugin_settings

        return getattr(getattr(get_plugin_settings(PLUGIN), group), name, fallback)
    except (ImportError, KeyError, AttributeError):
        return fallback
