"""The one set of plugins that a process works with."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sam2_core.hooks.manager import Plugins

_plugins: Plugins | None = None
# reentrant: a plugin may ask for the plugins while it is loaded, and then sees those before it
_lock = threading.RLock()


def get_plugins() -> Plugins:
    """Get the process's plugins; the installed ones are loaded at the first call.

    Raises
    ------
    PluginError
        One failed, and ``SAM2_PLUGINS_STRICT`` is set.
    InvalidInputError
        A ``SAM2_…`` variable that chooses plugins cannot be understood.
    """
    global _plugins
    with _lock:
        if _plugins is None:
            plugins = _plugins = Plugins()
            try:
                plugins.load_installed()
            except BaseException:
                _plugins = None
                raise
        return _plugins


@contextmanager
def using_plugins(plugins: Plugins) -> Iterator[Plugins]:
    """Let :func:`get_plugins` return other plugins for a while: in tests, and for ``--no-plugins``."""
    global _plugins
    with _lock:
        before, _plugins = _plugins, plugins
    try:
        yield plugins
    finally:
        with _lock:
            _plugins = before
