"""Models by name: the catalogue, configurations, download, reading and writing weights, and building models.

The names below are loaded when they are first used, so that listing the catalogue does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sam2_core.checkpoints.build import (
        build_sam2,
        build_sam2_hf,
        build_sam2_video_predictor,
        build_sam2_video_predictor_hf,
        load_model,
        load_weights,
    )
    from sam2_core.checkpoints.cache import cache_folder, cached_checkpoint, verify_file
    from sam2_core.checkpoints.catalogue import CATALOGUE, find_entry, get_entry, known_models
    from sam2_core.checkpoints.config import config_names, instantiate_model, load_config
    from sam2_core.checkpoints.convert import convert_checkpoint
    from sam2_core.checkpoints.fetch import download_model
    from sam2_core.checkpoints.huggingface import from_hugging_face, to_hugging_face
    from sam2_core.checkpoints.infer import infer_config
    from sam2_core.checkpoints.load import Checkpoint, read_checkpoint, save_checkpoint
    from sam2_core.checkpoints.precision import resolve_device, resolve_precision
    from sam2_core.checkpoints.targets import allow_target
    from sam2_core.hooks import ModelEntry

__all__ = [
    "CATALOGUE",
    "Checkpoint",
    "ModelEntry",
    "allow_target",
    "build_sam2",
    "build_sam2_hf",
    "build_sam2_video_predictor",
    "build_sam2_video_predictor_hf",
    "cache_folder",
    "cached_checkpoint",
    "config_names",
    "convert_checkpoint",
    "download_model",
    "find_entry",
    "from_hugging_face",
    "get_entry",
    "infer_config",
    "instantiate_model",
    "known_models",
    "load_config",
    "load_model",
    "load_weights",
    "read_checkpoint",
    "resolve_device",
    "resolve_precision",
    "save_checkpoint",
    "to_hugging_face",
    "verify_file",
]

# Public name -> the module that defines it.
_HOMES = {
    name: module
    for module, names in {
        "build": (
            "build_sam2",
            "build_sam2_hf",
            "build_sam2_video_predictor",
            "build_sam2_video_predictor_hf",
            "load_model",
            "load_weights",
        ),
        "cache": ("cache_folder", "cached_checkpoint", "verify_file"),
        "catalogue": ("CATALOGUE", "ModelEntry", "find_entry", "get_entry", "known_models"),
        "config": ("config_names", "instantiate_model", "load_config"),
        "convert": ("convert_checkpoint",),
        "fetch": ("download_model",),
        "huggingface": ("from_hugging_face", "to_hugging_face"),
        "infer": ("infer_config",),
        "load": ("Checkpoint", "read_checkpoint", "save_checkpoint"),
        "precision": ("resolve_device", "resolve_precision"),
        "targets": ("allow_target",),
    }.items()
    for name in names
}


def __getattr__(name: str) -> Any:
    """Import a public name on its first use (PEP 562) and keep it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it exports {', '.join(__all__)}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
