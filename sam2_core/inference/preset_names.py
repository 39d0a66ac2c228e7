"""The names of the ways to look at frames; quick to import."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias, get_args

from sam2_core.errors import InvalidInputError

#: ``"exact"``: as the predictor does; ``"crops"``: each object in a window of its own that follows it.
Preset: TypeAlias = Literal["exact", "crops"]
PRESETS: tuple[Preset, ...] = get_args(Preset)
#: Planes with sides up to this many times the model's input are looked at as a whole, unless told otherwise.
LARGEST_EXACT = 4


class PresetWords(NamedTuple):
    """What people read of a preset: what it is called, and what it does, each to go on in a sentence."""

    label: str
    summary: str


#: What front-ends say of each.
PRESET_WORDS: Mapping[Preset, PresetWords] = MappingProxyType(
    {
        "exact": PresetWords("whole frames", "the model sees each frame as a whole, shrunk to its own input size"),
        "crops": PresetWords(
            "a close-up of each object",
            "a window of its own follows each object, so that small cells in large frames are seen sharply",
        ),
    }
)


def checked_preset(preset: object) -> Preset:
    """Look at a name.

    Raises
    ------
    InvalidInputError
        There is no such preset.
    """
    for known in PRESETS:
        if preset == known:
            return known
    raise InvalidInputError(f"preset is one of {', '.join(PRESETS)}; got {preset!r}.")


def times_the_input(frame_size: tuple[int, int], input_size: tuple[int, int]) -> float:
    """How many times a plane's side is that of the input, where it is more; both (height, width)."""
    return max(size / side for size, side in zip(frame_size, input_size, strict=True))
