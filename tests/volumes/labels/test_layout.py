from __future__ import annotations

import json

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.volumes.labels.layout import LabelLayout, checked_layout

GOOD = {"length": 3, "frame_size": (4, 5), "axis": "z", "dtype": "uint16", "spacing": None, "unit": None}


def test_through_json():
    layout = checked_layout(**{**GOOD, "spacing": [2, 0.5, 0.25], "unit": "micrometer"})
    assert LabelLayout.from_json(json.loads(json.dumps(layout.as_json()))) == layout
    assert layout.largest_id == 65535
    assert layout.with_dtype("uint8").largest_id == 255


@pytest.mark.parametrize(("unit", "name"), [("um", "micrometer"), ("mm", "millimeter"), ("pixel", None), ("", None)])
def test_a_unit_has_one_spelling(unit, name):
    assert checked_layout(**{**GOOD, "unit": unit}).unit == name


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"length": 0}, InvalidInputError),
        ({"length": 1.5}, InvalidTypeError),
        ({"frame_size": (4, 0)}, InvalidInputError),
        ({"frame_size": (4, 5, 6)}, InvalidInputError),
        ({"axis": "c"}, InvalidInputError),
        ({"dtype": "int32"}, InvalidInputError),
        ({"dtype": "words"}, InvalidTypeError),
        ({"spacing": (1, 2)}, InvalidInputError),
        ({"spacing": "abc"}, InvalidTypeError),
        ({"spacing": 2.0}, InvalidTypeError),
        ({"spacing": (1, 0, 1)}, InvalidInputError),
        ({"spacing": (1, float("nan"), 1)}, InvalidInputError),
    ],
)
def test_what_makes_no_sense(change, error):
    with pytest.raises(error):
        checked_layout(**{**GOOD, **change})


def test_what_continues_what():
    layout = checked_layout(**GOOD)
    layout.require_continues(checked_layout(**{**GOOD, "axis": "frame"}), "a", check_dtype=True)
    layout.require_continues(layout.with_dtype(np.uint8), "a", check_dtype=False)
    for other in (layout.with_dtype(np.uint8), checked_layout(**{**GOOD, "axis": "t"})):
        with pytest.raises(InvalidInputError, match="a cannot be continued"):
            layout.require_continues(other, "a", check_dtype=True)
