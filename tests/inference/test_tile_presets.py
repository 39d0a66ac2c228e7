"""A preset names a tracker."""

from __future__ import annotations

import pytest

from sam2_core.errors import InvalidInputError
from sam2_core.inference.object_crop_tracker import CropTracker
from sam2_core.inference.tile_presets import plane_tracker
from sam2_core.inference.tile_tracker import TiledTracker
from tests.inference.video_scene import disc, small_predictor, stack


def test_presets() -> None:
    predictor = small_predictor()
    assert isinstance(plane_tracker(predictor), TiledTracker)
    assert isinstance(plane_tracker(predictor, "crops"), CropTracker)
    with pytest.raises(InvalidInputError, match="exact, crops; got 'tiles'"):
        plane_tracker(predictor, "tiles")  # type: ignore[arg-type]
    for preset in ("exact", "crops"):
        tracker = plane_tracker(predictor, preset)  # type: ignore[arg-type]
        state = tracker.init_state(stack(1))
        assert tracker.prompt_mask(state, 0, "cell", disc((40, 30), 8))["cell"].area > 100
