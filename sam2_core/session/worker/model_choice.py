"""The model of a session: given, or named and loaded where it is needed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias

from sam2_core.errors import InvalidTypeError

if TYPE_CHECKING:
    from sam2_core.inference.video_predictor import SAM2VideoPredictor

#: A predictor, the name of a model in the catalogue, or the path of its weights.
ModelChoice: TypeAlias = "SAM2VideoPredictor | str | os.PathLike[str]"

PREDICTOR_TARGET = "++model._target_=sam2.sam2_video_predictor.SAM2VideoPredictor"


def opened_predictor(model: ModelChoice, device: str | None = None) -> SAM2VideoPredictor:
    """Load a model, unless it is loaded.

    Parameters
    ----------
    model : SAM2VideoPredictor, str or path
        A predictor stays where it is.
    device : str, optional
        Where one that is loaded here goes, as :func:`~sam2_core.load_model` takes it.

    Raises
    ------
    InvalidTypeError
        It is no predictor of stacks.
    UnknownModelError, MissingFileError, CheckpointError, ConfigError, InvalidInputError
        As for :func:`~sam2_core.load_model`.
    """
    from sam2_core.checkpoints.build import load_model
    from sam2_core.inference.video_predictor import SAM2VideoPredictor

    if isinstance(model, str | os.PathLike):
        model = load_model(model, device=device, overrides=[PREDICTOR_TARGET])  # type: ignore[assignment]  # by the override
    if not isinstance(model, SAM2VideoPredictor):
        raise InvalidTypeError(
            "A session's model is the name or path of one, or a SAM2VideoPredictor (from "
            f"build_sam2_video_predictor); got {type(model).__name__}."
        )
    return model
