"""Every hook there is. docs/hooks.md describes each with an example; a test holds both to the same signatures.

A hook that adds something takes nothing and returns a list of contributions of one kind. It is called once, the first
time something of that kind is wanted, and what it returns is checked before anything is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sam2_core.hooks.cli_command import CliCommand
from sam2_core.hooks.contributions import Contribution
from sam2_core.hooks.markers import hookspec
from sam2_core.hooks.prompt_type import PromptType
from sam2_core.hooks.propagator import Propagator
from sam2_core.hooks.volume_reader import VolumeReader


class Sam2Specification:
    """The hooks of specification version 1.0."""

    @hookspec
    def sam2_cli_commands(self) -> Iterable[CliCommand]:  # type: ignore[empty-body]
        """Add commands to the ``sam2`` command line."""

    @hookspec
    def sam2_prompt_types(self) -> Iterable[PromptType]:  # type: ignore[empty-body]
        """Add ways of saying which object is meant."""

    @hookspec
    def sam2_propagators(self) -> Iterable[Propagator]:  # type: ignore[empty-body]
        """Add ways of carrying objects through a stack."""

    @hookspec
    def sam2_volume_readers(self) -> Iterable[VolumeReader]:  # type: ignore[empty-body]
        """Add readers of image formats to ``open_volume`` and all that builds on it."""


#: Which hook adds which kind of contribution.
HOOK_OF_KIND: Final[dict[type[Contribution], str]] = {
    CliCommand: "sam2_cli_commands",
    PromptType: "sam2_prompt_types",
    Propagator: "sam2_propagators",
    VolumeReader: "sam2_volume_readers",
}
