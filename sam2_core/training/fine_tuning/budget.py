"""A time budget as a person writes it."""

from __future__ import annotations

import math
import re

from sam2_core.errors import InvalidInputError, InvalidTypeError

_SECONDS = {
    "": 1.0,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
}
_WRITTEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*")


def budget_seconds(budget: str | float) -> float:
    """Read a budget.

    Parameters
    ----------
    budget : str or float
        "5 min", "90 s", "1.5 h", or a number of seconds.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    InvalidInputError, InvalidTypeError
        It cannot be understood, or is not above 0.
    """
    if isinstance(budget, bool) or not isinstance(budget, str | int | float):
        raise InvalidTypeError(f'A budget is a time such as "5 min", or a number of seconds; got {budget!r}.')
    if isinstance(budget, str):
        match = _WRITTEN.fullmatch(budget.lower())
        unit = "" if match is None else match[2].removesuffix("s") or match[2]
        if match is None or unit not in _SECONDS:
            raise InvalidInputError(
                f'Cannot understand the budget {budget!r}. Expected a time such as "5 min" or "90 s".'
            )
        seconds = float(match[1]) * _SECONDS[unit]
    else:
        seconds = float(budget)
    if not (seconds > 0 and math.isfinite(seconds)):
        raise InvalidInputError(f"A budget is longer than nothing and ends some time; got {budget!r}.")
    return seconds
