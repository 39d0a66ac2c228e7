"""Plugins: what they can add, how they are found, and what happens when one fails. Knows no other room."""

from __future__ import annotations

from sam2_core.hooks.array_context import ArrayContext
from sam2_core.hooks.cli_command import CliCommand
from sam2_core.hooks.contributions import Contribution
from sam2_core.hooks.drawn_prompts import prompts_of
from sam2_core.hooks.failure import PluginFailure
from sam2_core.hooks.manager import (
    LoadedPlugin,
    Plugins,
    PluginWarning,
    Registered,
)
from sam2_core.hooks.markers import ENTRY_POINT_GROUP, SPECIFICATION_VERSION, hookimpl
from sam2_core.hooks.options import Option, checked_options, options_of, parsed_options
from sam2_core.hooks.process import get_plugins, using_plugins
from sam2_core.hooks.prompt_type import Drawn, Gesture, ObjectPrompt, PromptContext, PromptType
from sam2_core.hooks.propagator import (
    Candidate,
    FrameDone,
    MemoryChoice,
    Propagator,
    Tracking,
    TrackingDirection,
    TrackingStep,
)
from sam2_core.hooks.selection import Selection
from sam2_core.hooks.volume_reader import VolumeReader

__all__ = [
    "ENTRY_POINT_GROUP",
    "SPECIFICATION_VERSION",
    "ArrayContext",
    "Candidate",
    "CliCommand",
    "Contribution",
    "Drawn",
    "FrameDone",
    "Gesture",
    "LoadedPlugin",
    "MemoryChoice",
    "ObjectPrompt",
    "Option",
    "PluginFailure",
    "PluginWarning",
    "Plugins",
    "PromptContext",
    "PromptType",
    "Propagator",
    "Registered",
    "Selection",
    "Tracking",
    "TrackingDirection",
    "TrackingStep",
    "VolumeReader",
    "checked_options",
    "get_plugins",
    "hookimpl",
    "options_of",
    "parsed_options",
    "prompts_of",
    "using_plugins",
]
