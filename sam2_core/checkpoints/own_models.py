"""Models that were fine-tuned on this machine: a folder each, with weights, configuration and card.

They are in the catalogue under their name as soon as the folder is there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam2_core.checkpoints.cache import cache_folder
from sam2_core.errors import DestinationExistsError, InvalidInputError, WriteError
from sam2_core.hooks import ModelEntry

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from torch import Tensor

_WEIGHTS, _CONFIG, _CARD, _PAGE = "model.safetensors", "config.yaml", "card.json", "README.md"
_LONGEST_NAME = 60


@dataclass(frozen=True)
class ModelCard:
    """What is to be known of a fine-tuned model.

    Attributes
    ----------
    base : str
        Name or path of the model it was trained from.
    data : mapping of str to Any
        What it was trained and validated on.
    recipe : mapping of str to Any
        How, with all options.
    metrics : mapping of str to float or None
        Before and after.
    licence : str
        SPDX identifier of the weights' licence.
    parameters : int
    notes : tuple of str
        What was found in the data, and why the training ended.
    min_iou, min_stability : float, optional
        Those of the base model, see :class:`~sam2_core.hooks.ModelEntry`.
    """

    base: str
    data: Mapping[str, Any]
    recipe: Mapping[str, Any]
    metrics: Mapping[str, float | None]
    licence: str
    parameters: int
    notes: tuple[str, ...] = field(default=())
    min_iou: float | None = None
    min_stability: float | None = None

    @property
    def summary(self) -> str:
        """One line for lists."""
        before, after = (self.metrics.get(f"one-click IoU {when}") for when in ("before", "after"))
        gain = "" if before is None or after is None else f": one-click IoU {before:.2f} → {after:.2f}"
        return f"{self.base} fine-tuned on {self.data.get('images')}, recipe {self.recipe.get('name')}{gain}"

    def page(self, name: str) -> str:
        """The card as Markdown."""
        parts = [f"# {name}", "", self.summary, "", f"Base model: {self.base}. Licence of the weights: {self.licence}."]
        for title, facts in (("Data", self.data), ("Recipe", self.recipe), ("Metrics", self.metrics)):
            parts += ["", f"## {title}", "", *(f"- {key}: {_shown(value)}" for key, value in facts.items())]
        if self.notes:
            parts += ["", "## Notes", "", *(f"- {note}" for note in self.notes)]
        return "\n".join([*parts, ""])


def own_models_folder() -> Path:
    """Folder of the fine-tuned models, beside the downloaded checkpoints; it may not exist yet."""
    return cache_folder() / "fine-tuned"


def own_models() -> dict[str, ModelEntry]:
    """The fine-tuned models by name; folders that are not complete are left out."""
    folder = own_models_folder()
    found = {}
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        card = None if place.name.startswith(".") else read_card(place.name)
        if card is None or not (place / _WEIGHTS).is_file() or not (place / _CONFIG).is_file():
            continue
        found[place.name] = ModelEntry(
            name=place.name,
            summary=card.summary,
            config=str(place / _CONFIG),
            file_name=_WEIGHTS,
            folder=place,
            parameters=card.parameters,
            licence=card.licence,
            min_iou=card.min_iou,
            min_stability=card.min_stability,
        )
    return found


def read_card(name: str) -> ModelCard | None:
    """The card of a fine-tuned model; None where there is none, or it cannot be read."""
    try:
        facts = json.loads((own_models_folder() / name / _CARD).read_text(encoding="utf-8"))
        return ModelCard(**(facts | {"notes": tuple(facts.get("notes", ()))}))
    except (OSError, ValueError, TypeError):
        return None


def free_name(wanted: str, taken: Mapping[str, ModelEntry]) -> str:
    """A name like the wanted one that no model has: letters, digits and dashes, with a number where needed."""
    plain = re.sub(r"[^a-z0-9_.]+", "-", wanted.lower()).strip("-._")[:_LONGEST_NAME] or "model"
    numbered = (plain if number == 1 else f"{plain}-{number}" for number in range(1, 100_000))
    return next(name for name in numbered if name not in taken and not (own_models_folder() / name).exists())


def save_own_model(name: str, state: Mapping[str, Tensor], config: DictConfig, card: ModelCard) -> Path:
    """Put a model into the catalogue: its folder appears complete or not at all.

    Parameters
    ----------
    name : str
        Under which it will be known.
    state : mapping of str to Tensor
        Its weights, official keys.
    config : DictConfig
        With which it is built.
    card : ModelCard

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InvalidInputError
        The name cannot be one.
    DestinationExistsError
        There is a model of that name.
    WriteError
        The disk is full, or may not be written to; nothing is left behind.
    """
    from omegaconf import OmegaConf
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    folder = own_models_folder() / name
    require_free(name)
    partial = folder.with_name(f".{name}.{os.getpid()}.part")
    try:
        partial.mkdir(parents=True)
        tensors = {key: value.detach().cpu().contiguous().clone() for key, value in state.items()}
        save_file(tensors, partial / _WEIGHTS, metadata={"format": "pt", "model": name, "licence": card.licence})
        OmegaConf.save(config, partial / _CONFIG)
        (partial / _CARD).write_text(json.dumps(asdict(card), indent=1, default=str), encoding="utf-8")
        (partial / _PAGE).write_text(card.page(name), encoding="utf-8")
        partial.rename(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise WriteError(
            f"The model could not be written to {folder} ({error}). Make room there and try again."
        ) from error
    return folder


def remove_own_model(name: str) -> None:
    """Take a model out of the catalogue, and delete its folder; one that is not there is no error."""
    folder = own_models_folder() / name
    gone = folder.with_name(f".{name}.{os.getpid()}.gone")
    # at once, so that nobody finds half a model
    with suppress(OSError):
        folder.rename(gone)
    for place in (gone, folder):
        shutil.rmtree(place, ignore_errors=True)


def require_free(name: str) -> None:
    """Refuse a name that is none, or that a fine-tuned model has.

    Raises
    ------
    InvalidInputError, DestinationExistsError
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.+-]*", name):
        raise InvalidInputError(
            f"{name!r} is no name for a model: use lower-case letters, digits and _ . + -, beginning with a letter or "
            "digit."
        )
    folder = own_models_folder() / name
    if folder.exists():
        raise DestinationExistsError(f"There is a model named {name!r} already, in {folder}; choose another name.")


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)
