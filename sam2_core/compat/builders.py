"""The official builders: the same functions as ours, their models speaking the official shapes."""

from __future__ import annotations

from functools import wraps
from typing import Any

from sam2_core.checkpoints import build
from sam2_core.checkpoints.catalogue import CATALOGUE
from sam2_core.compat.network import SAM2Base, speak_official
from sam2_core.compat.predictors import SAM2VideoPredictor

#: Hugging Face id -> (configuration, weights file), of the official models.
HF_MODEL_ID_TO_FILENAMES: dict[str, tuple[str, str]] = {
    entry.hf_id: (entry.config, entry.file_name) for entry in CATALOGUE.values() if entry.hf_id
}


@wraps(build.build_sam2, assigned=())  # the signature alone: what programs read with inspect
def build_sam2(*args: Any, **kwargs: Any) -> SAM2Base:
    """Build a model; see :func:`sam2_core.checkpoints.build.build_sam2`."""
    return speak_official(build.build_sam2(*args, **kwargs))


@wraps(build.build_sam2_hf, assigned=())
def build_sam2_hf(*args: Any, **kwargs: Any) -> SAM2Base:
    """Build a model by its id; see :func:`sam2_core.checkpoints.build.build_sam2_hf`."""
    return speak_official(build.build_sam2_hf(*args, **kwargs))


@wraps(build.build_sam2_video_predictor, assigned=())
def build_sam2_video_predictor(*args: Any, **kwargs: Any) -> SAM2VideoPredictor:
    """Build a video predictor; see :func:`sam2_core.checkpoints.build.build_sam2_video_predictor`."""
    return speak_official(build.build_sam2_video_predictor(*args, **kwargs))  # type: ignore[return-value]


@wraps(build.build_sam2_video_predictor_hf, assigned=())
def build_sam2_video_predictor_hf(*args: Any, **kwargs: Any) -> SAM2VideoPredictor:
    """Build a video predictor by its id; see :func:`sam2_core.checkpoints.build.build_sam2_video_predictor_hf`."""
    return speak_official(build.build_sam2_video_predictor_hf(*args, **kwargs))  # type: ignore[return-value]
