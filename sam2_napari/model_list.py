"""The models a person can choose: official checkpoints first, with size and licence, downloaded after asking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sam2_core.checkpoints.catalogue import known_models
from sam2_core.hooks import ModelEntry

OFFLINE: Final = "sam2.1_hiera_micro"
FIRST: Final = "sam2.1_hiera_tiny"


@dataclass(frozen=True)
class ListedModel:
    """A model of the catalogue, and whether its weights are on this machine."""

    entry: ModelEntry
    is_here: bool

    @property
    def label(self) -> str:
        """What the list says."""
        if self.entry.name == OFFLINE:
            return f"{self.entry.name}: small, works offline"
        return f"{self.entry.name}{'' if self.is_here else f', get {size(self.entry)}'}"

    @property
    def details(self) -> str:
        """What the list says when asked for more."""
        where = "on this machine" if self.is_here else f"to be downloaded from {self.entry.url}"
        return f"{self.entry.summary}. {size(self.entry)}, licence {self.entry.licence}, {where}."


class DownloadGivenUpError(Exception):
    """Raised by what reports a download, to end it."""


def listed_models() -> list[ListedModel]:
    """All models of the catalogue, official ones first."""
    listed = [ListedModel(entry, is_here(entry)) for entry in known_models().values()]
    return sorted(listed, key=lambda one: one.entry.shipped)


def first_choice(listed: list[ListedModel], wanted: str) -> str:
    """The model to offer: the one in the preferences, else an official one that is here, else the smallest of them."""
    names = {one.entry.name for one in listed}
    if wanted in names:
        return wanted
    here = next((one.entry.name for one in listed if one.is_here and not one.entry.shipped), None)
    return here or (FIRST if FIRST in names else OFFLINE)


def is_here(entry: ModelEntry) -> bool:
    """Whether a model's weights are on this machine; looks at names only, a check of the file comes with its use."""
    from sam2_core.checkpoints.cache import cache_folder

    return (entry.shipped_path if entry.shipped else cache_folder() / entry.file_name).is_file()


def size(entry: ModelEntry) -> str:
    """Size of the weights in words."""
    if entry.size_bytes:
        return f"{entry.size_bytes / 1e6:.0f} MB"
    return f"{entry.shipped_path.stat().st_size / 1e6:.0f} MB" if entry.shipped else "unknown size"


def question(entry: ModelEntry) -> str:
    """What a person is asked before anything is downloaded."""
    return (
        f"The weights of {entry.name} are not on this machine. Download {size(entry)} from {entry.url}?\n\n"
        f"Their licence is {entry.licence}. They are kept for the next time."
    )


def download(entry: ModelEntry, report: Callable[[int, int | None], None]) -> Path:
    """Download a model's weights; `report` gets the bytes done and in all.

    Raises
    ------
    DownloadError
        It failed; what has come stays, and the next try goes on from there.
    """
    from sam2_core.checkpoints.fetch import download_model

    return download_model(entry.name, progress=report)
