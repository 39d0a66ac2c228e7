from __future__ import annotations

import pytest

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.reader import OpenOptions


def test_sources_with_one_level_and_one_series():
    OpenOptions().require_single("a")
    OpenOptions(level=0, series=0).require_single("a")
    for options in (OpenOptions(level=1), OpenOptions(series="b")):
        with pytest.raises(InvalidInputError, match="a has one"):
            options.require_single("a")
