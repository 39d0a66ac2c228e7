"""How much of a plane the model is shown at once."""

from __future__ import annotations

from enum import StrEnum

from sam2_core.inference.preset_names import LARGEST_EXACT, times_the_input


class Preset(StrEnum):
    """How objects are looked at."""

    AUTO = "auto"
    EXACT = "exact"
    TILES = "tiles"
    CROPS = "crops"


class StoredPreset(StrEnum):
    """How frames are looked at whose features can be computed before any object is known."""

    AUTO = "auto"
    EXACT = "exact"
    TILES = "tiles"


def automatic_preset(frame_size: tuple[int, int], input_size: tuple[int, int]) -> Preset:
    """Choose what ``auto`` means: tiles where a plane is much larger than the model's input, else exact.

    Parameters
    ----------
    frame_size, input_size : (int, int)
        (height, width) of the plane and of the model's input.
    """
    return Preset.TILES if times_the_input(frame_size, input_size) > LARGEST_EXACT else Preset.EXACT
