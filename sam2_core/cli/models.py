"""Loading the model that a command was told to use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sam2_core.cli.console import messages
from sam2_core.errors import ConfigError

if TYPE_CHECKING:
    from sam2_core.inference.video_predictor import SAM2VideoPredictor
    from sam2_core.volumes.embedding_store import EmbeddingStore

# the official settings for tracking: memories of clicked masks are binarised, and small holes are closed
_TRACKING = (
    "++model._target_=sam2.sam2_video_predictor.SAM2VideoPredictor",
    "++model.binarize_mask_from_pts_for_mem_enc=true",
    "++model.fill_hole_area=8",
)


def load_predictor(
    checkpoint: str, device: str, precision: str, image_size: int | None = None, *, quiet: bool = False
) -> SAM2VideoPredictor:
    """Load a model that can both segment and track.

    Parameters
    ----------
    checkpoint : str
        Catalogue name, Hugging Face id or weights file.
    device, precision : str
        "auto" picks.
    image_size : int, optional
        Side of the model's input in pixels.
    quiet : bool
        Whether to leave out the line that says what was loaded.

    Returns
    -------
    SAM2VideoPredictor
    """
    with messages.status("Loading the model …"):
        # torch takes seconds to import; what needs no model should not wait for it
        from sam2_core.checkpoints.build import load_model
        from sam2_core.inference.video_predictor import SAM2VideoPredictor

        model = load_model(
            checkpoint,
            device=None if device == "auto" else device,
            precision=precision,
            image_size=image_size,
            overrides=_TRACKING,
        )
    if not isinstance(model, SAM2VideoPredictor):
        raise ConfigError(f"The configuration of {checkpoint} does not build a model that can track.")
    if not quiet:
        height, width = model.input_size
        messages.print(
            f"{checkpoint} on {model.device}, {str(model.dtype).removeprefix('torch.')}, input {width} x {height}"
        )
    return model


def embedding_store(is_wanted: bool) -> EmbeddingStore | None:
    """Open the store of image features that all commands share, if a command is to use it."""
    if not is_wanted:
        return None
    from sam2_core.volumes.embedding_store import EmbeddingStore

    return EmbeddingStore()
