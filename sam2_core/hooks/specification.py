"""Every hook there is. docs/hooks.md describes each with an example; a test holds both to the same signatures.

A hook that adds something takes nothing and returns a list of contributions of one kind. It is called once, the first
time something of that kind is wanted, and what it returns is checked before anything is used. A hook that listens takes
an event and returns nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sam2_core.hooks.cli_command import CliCommand
from sam2_core.hooks.contributions import Contribution
from sam2_core.hooks.dataset_kind import DatasetKind
from sam2_core.hooks.front_end import FrontEnd
from sam2_core.hooks.kernel import Kernel
from sam2_core.hooks.label_format import LabelFormat
from sam2_core.hooks.loss import Loss
from sam2_core.hooks.markers import hookspec
from sam2_core.hooks.mask_filter import MaskFilter
from sam2_core.hooks.metric import Metric
from sam2_core.hooks.model_entry import ModelEntry
from sam2_core.hooks.prompt_type import PromptType
from sam2_core.hooks.propagator import Propagator
from sam2_core.hooks.recipe import Recipe
from sam2_core.hooks.session_event import SessionEvent
from sam2_core.hooks.trainer_kind import TrainerKind
from sam2_core.hooks.training_event import TrainingCallback, TrainingEvent
from sam2_core.hooks.volume_reader import VolumeReader


class Sam2Specification:
    """The hooks of specification version 1.0."""

    @hookspec
    def sam2_cli_commands(self) -> Iterable[CliCommand]:  # type: ignore[empty-body]
        """Add commands to the ``sam2`` command line."""

    @hookspec
    def sam2_datasets(self) -> Iterable[DatasetKind]:  # type: ignore[empty-body]
        """Add kinds of labelled data to train on."""

    @hookspec
    def sam2_front_ends(self) -> Iterable[FrontEnd]:  # type: ignore[empty-body]
        """Add places to look at a stack and work on it: ``sam2 open``."""

    @hookspec
    def sam2_kernels(self) -> Iterable[Kernel]:  # type: ignore[empty-body]
        """Add implementations of this project's torch operators."""

    @hookspec
    def sam2_label_formats(self) -> Iterable[LabelFormat]:  # type: ignore[empty-body]
        """Add formats that labels are written in and read from."""

    @hookspec
    def sam2_losses(self) -> Iterable[Loss]:  # type: ignore[empty-body]
        """Add losses on masks for training."""

    @hookspec
    def sam2_mask_filters(self) -> Iterable[MaskFilter]:  # type: ignore[empty-body]
        """Add what can be done to masks before they become labels."""

    @hookspec
    def sam2_metrics(self) -> Iterable[Metric]:  # type: ignore[empty-body]
        """Add numbers that say how good labels are."""

    @hookspec
    def sam2_models(self) -> Iterable[ModelEntry]:  # type: ignore[empty-body]
        """Add models that are known by name."""

    @hookspec
    def sam2_prompt_types(self) -> Iterable[PromptType]:  # type: ignore[empty-body]
        """Add ways of saying which object is meant."""

    @hookspec
    def sam2_propagators(self) -> Iterable[Propagator]:  # type: ignore[empty-body]
        """Add ways of carrying objects through a stack."""

    @hookspec
    def sam2_recipes(self) -> Iterable[Recipe]:  # type: ignore[empty-body]
        """Add ways of fine-tuning a model on somebody's own labels."""

    @hookspec
    def sam2_trainers(self) -> Iterable[TrainerKind]:  # type: ignore[empty-body]
        """Add loops that take training steps."""

    @hookspec
    def sam2_training_callbacks(self) -> Iterable[TrainingCallback]:  # type: ignore[empty-body]
        """Add what watches a training and may end it."""

    @hookspec
    def sam2_volume_readers(self) -> Iterable[VolumeReader]:  # type: ignore[empty-body]
        """Add readers of image formats to ``open_volume`` and all that builds on it."""

    @hookspec
    def sam2_session_event(self, event: SessionEvent) -> None:
        """Hear of what happened in a session, after it was written."""

    @hookspec
    def sam2_training_event(self, event: TrainingEvent) -> None:
        """Hear of what happened in a training."""


#: Which hook adds which kind of contribution.
HOOK_OF_KIND: Final[dict[type[Contribution], str]] = {
    CliCommand: "sam2_cli_commands",
    DatasetKind: "sam2_datasets",
    FrontEnd: "sam2_front_ends",
    Kernel: "sam2_kernels",
    LabelFormat: "sam2_label_formats",
    Loss: "sam2_losses",
    MaskFilter: "sam2_mask_filters",
    Metric: "sam2_metrics",
    ModelEntry: "sam2_models",
    PromptType: "sam2_prompt_types",
    Propagator: "sam2_propagators",
    Recipe: "sam2_recipes",
    TrainerKind: "sam2_trainers",
    TrainingCallback: "sam2_training_callbacks",
    VolumeReader: "sam2_volume_readers",
}

#: The hooks that listen.
NOTIFICATIONS: Final = ("sam2_session_event", "sam2_training_event")
