"""SAM 2 for microscopy stacks: the model, its checkpoints, and the predictors that use them.

Importing this package is quick and does not import torch. The names below are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

# Public name -> the module that defines it.
_HOMES = {
    "CATALOGUE": "sam2_core.checkpoints.catalogue",
    "InvalidInputError": "sam2_core.errors",
    "InvalidTypeError": "sam2_core.errors",
    "SAM2AutomaticMaskGenerator": "sam2_core.inference.mask_generator",
    "SAM2ImagePredictor": "sam2_core.inference.image_predictor",
    "SAM2VideoPredictor": "sam2_core.inference.video_predictor",
    "Sam2Error": "sam2_core.errors",
    "Volume": "sam2_core.volumes.volume",
    "build_sam2": "sam2_core.checkpoints.build",
    "build_sam2_hf": "sam2_core.checkpoints.build",
    "build_sam2_video_predictor": "sam2_core.checkpoints.build",
    "build_sam2_video_predictor_hf": "sam2_core.checkpoints.build",
    "fine_tune": "sam2_core.training.fine_tuning.fine_tune",
    "load_model": "sam2_core.checkpoints.build",
    "open_frames": "sam2_core.volumes.frames",
    "open_label_writer": "sam2_core.volumes.labels.opening",
    "open_labels": "sam2_core.volumes.labels.opening",
    "open_volume": "sam2_core.volumes.readers",
}

__all__ = [
    "CATALOGUE",
    "InvalidInputError",
    "InvalidTypeError",
    "SAM2AutomaticMaskGenerator",
    "SAM2ImagePredictor",
    "SAM2VideoPredictor",
    "Sam2Error",
    "Volume",
    "__version__",
    "build_sam2",
    "build_sam2_hf",
    "build_sam2_video_predictor",
    "build_sam2_video_predictor_hf",
    "fine_tune",
    "load_model",
    "open_frames",
    "open_label_writer",
    "open_labels",
    "open_volume",
]

if TYPE_CHECKING:
    from sam2_core.checkpoints.build import (
        build_sam2,
        build_sam2_hf,
        build_sam2_video_predictor,
        build_sam2_video_predictor_hf,
        load_model,
    )
    from sam2_core.checkpoints.catalogue import CATALOGUE
    from sam2_core.errors import InvalidInputError, InvalidTypeError, Sam2Error
    from sam2_core.inference.image_predictor import SAM2ImagePredictor
    from sam2_core.inference.mask_generator import SAM2AutomaticMaskGenerator
    from sam2_core.inference.video_predictor import SAM2VideoPredictor
    from sam2_core.training.fine_tuning.fine_tune import fine_tune
    from sam2_core.volumes.frames import open_frames
    from sam2_core.volumes.labels.opening import open_label_writer, open_labels
    from sam2_core.volumes.readers import open_volume
    from sam2_core.volumes.volume import Volume


def __getattr__(name: str) -> Any:
    """Import a public name on its first use (PEP 562) and keep it."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it exports {', '.join(__all__)}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
