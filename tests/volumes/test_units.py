from __future__ import annotations

import pytest

from sam2_core.volumes.units import unit_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("µm", "micrometer"),
        ("μm", "micrometer"),
        ("um", "micrometer"),
        ("micron", "micrometer"),
        ("\\u00B5m", "micrometer"),
        ("Micrometer", "micrometer"),
        (" nm ", "nanometer"),
        ("s", "second"),
        ("sec", "second"),
        ("min", "minute"),
        ("furlong", "furlong"),
        ("pixel", None),
        ("", None),
        (None, None),
    ],
)
def test_one_spelling_each(text, name):
    assert unit_name(text) == name
