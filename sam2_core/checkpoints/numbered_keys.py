"""Numbers in state-dict keys: which layers of a part there are."""

from __future__ import annotations

import re
from collections.abc import Iterable


def numbers_after(keys: Iterable[str], prefix: str) -> set[int]:
    """Find the numbers that follow a prefix.

    Parameters
    ----------
    keys : iterable of str
        Keys of a state dict.
    prefix : str
        Such as ``memory_attention.layers``, without the dot before the number.

    Returns
    -------
    set of int
        Each number of a key ``{prefix}.{number}.…``; empty where the part is missing.
    """
    pattern = re.compile(re.escape(prefix) + r"\.(\d+)\.")
    return {int(found[1]) for key in keys if (found := pattern.match(key)) is not None}
