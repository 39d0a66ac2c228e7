"""Numbers of bytes as people write them."""

from __future__ import annotations

import re

from sam2_core.errors import InvalidInputError

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_bytes(text: str, option: str) -> int:
    """Understand ``2GB``, ``500 MB``, ``1.5GiB`` or a plain number of bytes.

    Raises
    ------
    InvalidInputError
        It cannot be understood.
    """
    match = re.fullmatch(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[kmgt]?i?)b?", text.replace(" ", "").casefold())
    if match is None or match["unit"] not in _UNITS:
        raise InvalidInputError(f"Cannot understand {option} {text!r}. Expected a size such as 2GB, 500MB or 1.5GiB.")
    return int(float(match["number"]) * _UNITS[match["unit"]])


def show_bytes(count: float) -> str:
    """Write a number of bytes with the unit that suits it."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} bytes"


def show_seconds(seconds: float) -> str:
    """Write a duration as coarsely as an estimate deserves."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
