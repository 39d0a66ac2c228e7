"""Plugins: what they can add, how they are found, and what happens when one fails. Knows no other room."""

from __future__ import annotations

from sam2_core.hooks.array_context import ArrayContext
from sam2_core.hooks.cli_command import CliCommand
from sam2_core.hooks.contributions import Contribution
from sam2_core.hooks.dataset_kind import DatasetKind, TrainingVideo
from sam2_core.hooks.drawn_prompts import prompts_of
from sam2_core.hooks.failure import PluginFailure
from sam2_core.hooks.filter_chain import FilterChain
from sam2_core.hooks.front_end import FrontEnd
from sam2_core.hooks.kernel import Kernel
from sam2_core.hooks.label_format import LabelFormat, LabelReading, LabelWriting
from sam2_core.hooks.loss import Loss
from sam2_core.hooks.manager import (
    LoadedPlugin,
    Plugins,
    PluginWarning,
    Registered,
)
from sam2_core.hooks.markers import ENTRY_POINT_GROUP, SPECIFICATION_VERSION, hookimpl
from sam2_core.hooks.mask_filter import MaskFilter
from sam2_core.hooks.metric import Metric
from sam2_core.hooks.model_entry import ModelEntry
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
from sam2_core.hooks.recipe import Recipe
from sam2_core.hooks.selection import Selection
from sam2_core.hooks.session_event import SessionEvent
from sam2_core.hooks.trainer_kind import TrainerKind
from sam2_core.hooks.training_event import TrainingCallback, TrainingEvent, TrainingRun
from sam2_core.hooks.volume_reader import VolumeReader

__all__ = [
    "ENTRY_POINT_GROUP",
    "SPECIFICATION_VERSION",
    "ArrayContext",
    "Candidate",
    "CliCommand",
    "Contribution",
    "DatasetKind",
    "Drawn",
    "FilterChain",
    "FrameDone",
    "FrontEnd",
    "Gesture",
    "Kernel",
    "LabelFormat",
    "LabelReading",
    "LabelWriting",
    "LoadedPlugin",
    "Loss",
    "MaskFilter",
    "MemoryChoice",
    "Metric",
    "ModelEntry",
    "ObjectPrompt",
    "Option",
    "PluginFailure",
    "PluginWarning",
    "Plugins",
    "PromptContext",
    "PromptType",
    "Propagator",
    "Recipe",
    "Registered",
    "Selection",
    "SessionEvent",
    "Tracking",
    "TrackingDirection",
    "TrackingStep",
    "TrainerKind",
    "TrainingCallback",
    "TrainingEvent",
    "TrainingRun",
    "TrainingVideo",
    "VolumeReader",
    "checked_options",
    "get_plugins",
    "hookimpl",
    "options_of",
    "parsed_options",
    "prompts_of",
    "using_plugins",
]
