"""The names of the ways to look at frames; quick to import."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from sam2_core.errors import InvalidInputError

#: ``"exact"``: as the predictor does; ``"crops"``: each object in a window of its own that follows it.
Preset: TypeAlias = Literal["exact", "crops"]
PRESETS: tuple[Preset, ...] = get_args(Preset)


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
