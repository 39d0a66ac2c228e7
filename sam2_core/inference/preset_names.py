"""The names of the ways to look at frames; quick to import."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias, get_args

from sam2_core.errors import InvalidInputError

#: ``"exact"``: as the predictor does; ``"crops"``: each object in a window of its own that follows it.
Preset: TypeAlias = Literal["exact", "crops"]
PRESETS: tuple[Preset, ...] = get_args(Preset)


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
