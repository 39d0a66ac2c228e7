from __future__ import annotations

import pytest

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.volumes.axes import AXES, axes_candidates, parse_axes, unknown_axes


@pytest.mark.parametrize("axes", ["zyx", "ZYX", ["z", "y", "x"], ("Z", "y", "X")])
def test_axes_are_letters(axes):
    assert parse_axes(axes, 3, "a") == "zyx"


@pytest.mark.parametrize("axes", ["zy", "tzyx", "zzyx", "qyx", "zcx", ["zy", "x"]])
def test_other_axes_are_refused(axes):
    with pytest.raises(InvalidInputError, match="axes="):
        parse_axes(axes, 3, "a")
    for nothing in (3, [1, 2, 3]):
        with pytest.raises(InvalidTypeError, match="letters"):
            parse_axes(nothing, 3, "a")  # type: ignore[arg-type]


def test_candidates_are_axes_of_that_many_dimensions():
    for count in (2, 3, 4, 5):
        for axes in axes_candidates([9] * count):
            assert parse_axes(axes, count, "a") == axes
            assert set(axes) <= set(AXES)
    assert axes_candidates((500, 40, 40)) == ("zyx", "tyx")
    assert "yxc" in axes_candidates((500, 40, 3))
    assert axes_candidates((2,) * 7) == ()


def test_the_error_lists_what_to_pass():
    message = str(unknown_axes("a.tif", (5, 8, 9), ("zyx", "tyx")))
    assert "a.tif (5 x 8 x 9) cannot be known" in message
    assert 'axes="zyx", axes="tyx"' in message
    assert "6 dimensions" in str(unknown_axes("a", (1,) * 6, ()))
