"""The models this project knows by name: where their weights come from and which configuration fits them.

Sizes and checksums of the official files: Meta publishes none. Those below are the values that independent projects
recorded after downloading from the same addresses (among them micro-sam's registry of all eight); a file that differs
is refused.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sam2_core.checkpoints.own_models import own_models
from sam2_core.errors import UnknownModelError
from sam2_core.hooks import ModelEntry, get_plugins

_META = "https://dl.fbaipublicfiles.com/segment_anything_2"
_WEIGHTS_FOLDER = Path(__file__).parent / "weights"


# version, folder on Meta's server, then per size: letter of the config, bytes, parameters, sha256
_OFFICIAL = {
    ("2.1", "092824"): {
        "tiny": ("t", 156_008_466, 38_962_498, "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69"),
        "small": ("s", 184_416_285, 46_060_354, "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38"),
        "base_plus": (
            "b+",
            323_606_802,
            80_850_178,
            "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
        ),
        "large": ("l", 898_083_611, 224_446_642, "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318"),
    },
    ("2", "072824"): {
        "tiny": ("t", 155_906_050, 38_945_986, "65b50056e05bcb13694174f51bb6da89c894b57b75ccdf0ba6352c597c5d1125"),
        "small": ("s", 184_309_650, 46_043_842, "95949964d4e548409021d47b22712d5f1abf2564cc0c3c765ba599a24ac7dce3"),
        "base_plus": (
            "b+",
            323_493_298,
            80_833_666,
            "d0bb7f236400a49669ffdd1be617959a8b1d1065081789d7bbff88eded3a8071",
        ),
        "large": ("l", 897_952_466, 224_430_130, "7442e4e9b732a508f80e141e7c2913437a3610ee0c77381a66658c3a445df87b"),
    },
}


def _official_entries() -> list[ModelEntry]:
    entries = []
    for (version, folder), sizes in _OFFICIAL.items():
        family = f"sam{version}"
        for size, (letter, size_bytes, parameters, sha256) in sizes.items():
            name = f"{family}_hiera_{size}"
            entries.append(
                ModelEntry(
                    name=name,
                    config=f"configs/{family}/{family}_hiera_{letter}.yaml",
                    file_name=f"{name}.pt",
                    summary=f"SAM {version}, {size.replace('_', ' ')}, by Meta",
                    parameters=parameters,
                    url=f"{_META}/{folder}/{name}.pt",
                    size_bytes=size_bytes,
                    sha256=sha256,
                    hf_id=f"facebook/{family}-hiera-{size.replace('_', '-')}",
                )
            )
    return entries


_MICRO = ModelEntry(
    name="sam2.1_hiera_micro",
    config="configs/sam2.1/sam2.1_hiera_micro.yaml",
    file_name="sam2.1_hiera_micro.safetensors",
    folder=_WEIGHTS_FOLDER,
    summary="a small SAM 2.1 trained by this project on drawn microscopy; part of the package",
    parameters=5_371_042,
    min_iou=0.5,
    min_stability=0.6,
)

CATALOGUE: Mapping[str, ModelEntry] = MappingProxyType({entry.name: entry for entry in [_MICRO, *_official_entries()]})
"""The built-in models, which ``sam2_core.builtin.models`` registers; the shipped one first, then the official ones."""


def known_models() -> Mapping[str, ModelEntry]:
    """Every model by its name: the built-in ones, those of plugins, then those fine-tuned on this machine."""
    listed = {name: one.contribution for name, one in get_plugins().contributions(ModelEntry).items()}
    return {**listed, **{name: entry for name, entry in own_models().items() if name not in listed}}


def find_entry(name: str) -> ModelEntry | None:
    """Look a model up.

    Parameters
    ----------
    name : str
        Name in the catalogue, id on the Hugging Face hub, or name of the weights file.

    Returns
    -------
    ModelEntry or None
        None when no model is known by that name.
    """
    models = known_models()
    if name in models:
        return models[name]
    return next((entry for entry in models.values() if name in (entry.hf_id, entry.file_name)), None)


def everything_thresholds(model: Any) -> dict[str, float]:
    """What "segment everything" should ask of the masks of a model, where the usual does not suit it.

    Parameters
    ----------
    model : str, path or Any
        What :func:`find_entry` takes; anything else is known by no name.

    Returns
    -------
    dict of str to float
        ``pred_iou_thresh`` and ``stability_score_thresh`` of :class:`~sam2_core.SAM2AutomaticMaskGenerator`; those that
        are known.
    """
    entry = find_entry(os.fspath(model)) if isinstance(model, str | os.PathLike) else None
    if entry is None:
        return {}
    known = {"pred_iou_thresh": entry.min_iou, "stability_score_thresh": entry.min_stability}
    return {name: value for name, value in known.items() if value is not None}


def get_entry(name: str) -> ModelEntry:
    """Look a model up that has to be there.

    Parameters
    ----------
    name : str
        What :func:`find_entry` takes.

    Returns
    -------
    ModelEntry
        The model.

    Raises
    ------
    UnknownModelError
        When no model is known by that name; the message lists the names.
    """
    entry = find_entry(name)
    if entry is None:
        models = known_models()
        known = [known for one in models.values() for known in (one.name, one.hf_id) if known]
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownModelError(f"no model named {name!r}.{hint} Known models: {', '.join(models)}")
    return entry
