"""What marks a hook: the project's name in pluggy, the entry-point group, and the version of the specification."""

from __future__ import annotations

from typing import Final

import pluggy

PROJECT: Final = "sam2"
ENTRY_POINT_GROUP: Final = "sam2.plugins"
#: Raised in its second part when something is added, in its first when something a plugin may rely on goes away.
SPECIFICATION_VERSION: Final = "1.0"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
