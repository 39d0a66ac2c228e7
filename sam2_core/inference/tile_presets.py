"""Choose how a predictor looks at planes: whole or in tiles, or through crops that follow the objects."""

from __future__ import annotations

from sam2_core.inference.object_crop_tracker import CropTracker
from sam2_core.inference.preset_names import Preset, checked_preset
from sam2_core.inference.tile_tracker import TiledTracker
from sam2_core.inference.video_predictor import SAM2VideoPredictor


def plane_tracker(predictor: SAM2VideoPredictor, preset: Preset = "exact") -> TiledTracker | CropTracker:
    """Make the tracker of a preset, with its usual options.

    Parameters
    ----------
    predictor : SAM2VideoPredictor
        Does the work.
    preset : {"exact", "crops"}
        ``"exact"``: planes that the model sees well as a whole, exactly as the predictor; larger ones in tiles.
        ``"crops"``: each object in a window of its own that follows it.

    Returns
    -------
    TiledTracker or CropTracker
        Both have the same methods.

    Raises
    ------
    InvalidInputError
        There is no such preset.
    """
    return TiledTracker(predictor) if checked_preset(preset) == "exact" else CropTracker(predictor)
