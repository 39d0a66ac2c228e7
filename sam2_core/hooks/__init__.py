"""Plugins: what they can add, how they are found, and what happens when one fails. Knows no other room."""

from __future__ import annotations

from sam2_core.hooks.cli_command import CliCommand
from sam2_core.hooks.contributions import Contribution, Option, options_of
from sam2_core.hooks.failure import PluginFailure
from sam2_core.hooks.manager import (
    LoadedPlugin,
    Plugins,
    PluginWarning,
    Registered,
)
from sam2_core.hooks.markers import ENTRY_POINT_GROUP, SPECIFICATION_VERSION, hookimpl
from sam2_core.hooks.process import get_plugins, using_plugins
from sam2_core.hooks.selection import Selection
from sam2_core.hooks.volume_reader import VolumeReader

__all__ = [
    "ENTRY_POINT_GROUP",
    "SPECIFICATION_VERSION",
    "CliCommand",
    "Contribution",
    "LoadedPlugin",
    "Option",
    "PluginFailure",
    "PluginWarning",
    "Plugins",
    "Registered",
    "Selection",
    "VolumeReader",
    "get_plugins",
    "hookimpl",
    "options_of",
    "using_plugins",
]
