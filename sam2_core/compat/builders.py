"""The official builders: the same functions as ours, under official defaults, their models speaking official shapes."""

from __future__ import annotations

import os
from typing import Any

from sam2_core.checkpoints import build
from sam2_core.checkpoints.catalogue import CATALOGUE, get_entry
from sam2_core.checkpoints.fetch import fetch_pretrained
from sam2_core.checkpoints.load import read_checkpoint
from sam2_core.compat.network import SAM2Base, speak_official
from sam2_core.compat.predictors import SAM2VideoPredictor
from sam2_core.compat.signatures import OFFICIAL_DEFAULTS, with_signature_of

#: Hugging Face id -> (configuration, weights file), of the official models.
HF_MODEL_ID_TO_FILENAMES: dict[str, tuple[str, str]] = {
    entry.hf_id: (entry.config, entry.file_name) for entry in CATALOGUE.values() if entry.hf_id
}


@with_signature_of(build.build_sam2, **OFFICIAL_DEFAULTS)
def build_sam2(*args: Any, **kwargs: Any) -> SAM2Base:
    """Build a model; see :func:`sam2_core.checkpoints.build.build_sam2`."""
    return speak_official(build.build_sam2(*args, **{**OFFICIAL_DEFAULTS, **kwargs}))


@with_signature_of(build.build_sam2_hf)
def build_sam2_hf(*args: Any, **kwargs: Any) -> SAM2Base:
    """Build a model by its id; see :func:`sam2_core.checkpoints.build.build_sam2_hf`."""
    return speak_official(build.build_sam2_hf(*args, **{**OFFICIAL_DEFAULTS, **kwargs}))


@with_signature_of(build.build_sam2_video_predictor, **OFFICIAL_DEFAULTS)
def build_sam2_video_predictor(*args: Any, **kwargs: Any) -> SAM2VideoPredictor:
    """Build a video predictor; see :func:`sam2_core.checkpoints.build.build_sam2_video_predictor`."""
    return speak_official(build.build_sam2_video_predictor(*args, **{**OFFICIAL_DEFAULTS, **kwargs}))  # type: ignore[return-value]


@with_signature_of(build.build_sam2_video_predictor_hf)
def build_sam2_video_predictor_hf(*args: Any, **kwargs: Any) -> SAM2VideoPredictor:
    """Build a video predictor by its id; see :func:`sam2_core.checkpoints.build.build_sam2_video_predictor_hf`."""
    return speak_official(build.build_sam2_video_predictor_hf(*args, **{**OFFICIAL_DEFAULTS, **kwargs}))  # type: ignore[return-value]


# What programs import although the names begin with an underscore.


def _load_checkpoint(model: SAM2Base, ckpt_path: str | os.PathLike[str] | None) -> None:
    """Load weights into a model; nothing where there is no path.

    Raises
    ------
    MissingFileError, CheckpointError
        There is no such file, or it does not fit; the model stays as it was.
    """
    if ckpt_path is not None:
        build.load_weights(model, read_checkpoint(ckpt_path))


def _hf_download(model_id: str) -> tuple[str, str]:
    """Fetch an official model from the hub: its configuration's name and the weights file.

    Raises
    ------
    UnknownModelError, DownloadError
    """
    entry = get_entry(model_id)
    return entry.config, str(fetch_pretrained(model_id)[1])
