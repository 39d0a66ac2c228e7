"""The settings of this plugin, as napari's preferences keep them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

PLUGIN: Final = "sam2-lab"

#: What holds where napari has no such setting: an older napari, or a plugin that is not installed but imported.
DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "model": {"name": "", "worker": "process", "device": "auto", "memory_mb": 512},
    "cache": {"folder": ""},
    "session": {"folder": "", "answers_at_once": True},
    "keys": {},
}


#: What tells all of this project, worker processes included, where its caches are, and the parts of a chosen folder.
CACHES: Final = {"SAM2_LAB_CACHE": "checkpoints", "SAM2_LAB_EMBEDDINGS": "embeddings"}
_before: dict[str, str | None] = {}


def setting(group: str, name: str, default: Any = None) -> Any:
    """The value of a setting, such as ``setting("model", "name")``."""
    fallback = DEFAULTS[group].get(name, default)
    try:
        from napari.settings import get_plugin_settings

        return getattr(getattr(get_plugin_settings(PLUGIN), group), name, fallback)
    except (ImportError, KeyError, AttributeError):
        return fallback


def worker_options() -> dict[str, Any]:
    """How a session's worker shall work, as ``AnnotationSession.worker_options`` takes it."""
    device = str(setting("model", "device") or "auto").strip().lower()
    options: dict[str, Any] = {"feature_memory_bytes": int(setting("model", "memory_mb")) * 2**20}
    return options if device == "auto" else {**options, "device": device}


def use_cache_folder() -> None:
    """Keep models and encoded frames in the folder that is chosen; where none is, as the environment has it."""
    chosen = str(setting("cache", "folder") or "").strip()
    for name, part in CACHES.items():
        if chosen:
            _before.setdefault(name, os.environ.get(name))
            os.environ[name] = str(Path(chosen).expanduser() / part)
        elif name in _before:
            before = _before.pop(name)
            if before is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = before
