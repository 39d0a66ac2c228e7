from __future__ import annotations

import pytest

from sam2_core.volumes.units import ome_symbol, unit_name


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


@pytest.mark.parametrize(
    ("name", "symbol"),
    [("micrometer", "µm"), ("angstrom", "Å"), ("second", "s"), ("furlong", "pixel"), (None, "pixel")],
)
def test_the_symbol_in_ome_xml(name, symbol):
    assert ome_symbol(name) == symbol
    assert unit_name(symbol) == (name if symbol != "pixel" else None)
