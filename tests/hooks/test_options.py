"""Options from signatures: listed, looked at, read from text."""

from __future__ import annotations

import enum
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.hooks import Option, checked_options, options_of, parsed_options

if TYPE_CHECKING:
    from nowhere import Nothing  # type: ignore[import-not-found]


class Side(enum.Enum):
    LEFT = "l"
    RIGHT = "r"


def example(
    mask: Nothing,
    *,
    smallest: int = 20,
    share: Annotated[float, {"min": 0.0, "max": 1.0}] = 0.5,
    mode: Literal["a", "b"] = "a",
    deep: bool = False,
    side: Side = Side.LEFT,
    limit: float | None = None,
    where: tuple[int, int] = (0, 0),
    weights: tuple[float, ...] = (),
    path: Path = Path(),
    name: str = "",
    source: Any = None,
) -> None:
    pass


def test_options_are_the_keyword_only_parameters() -> None:
    def filtered(mask: Any, *, smallest: int = 20, share: Annotated[float, {"max": 1.0}] = 0.5) -> Any:
        return mask

    assert list(options_of(filtered)) == [
        Option("smallest", int, 20),
        Option("share", Annotated[float, {"max": 1.0}], 0.5),
    ]


def test_only_the_types_of_options_have_to_be_known() -> None:
    assert [option.name for option in options_of(example)][:2] == ["smallest", "share"]


class Holder:
    def method(self, mask: Any, *, share: float = 0.5) -> Any:
        return mask

    def __call__(self, mask: Any, *, deep: bool = False) -> Any:
        return mask


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (Holder().method, ["share"]),
        (Holder(), ["deep"]),
        (functools.partial(Holder().method, share=0.2), ["share"]),
        (functools.wraps(Holder.method)(lambda *given, **options: None), ["share"]),
    ],
    ids=["method", "object", "partial", "wrapped"],
)
def test_other_callables(function: Any, names: list[str]) -> None:
    assert [option.name for option in options_of(function)] == names


def test_an_option_without_type_or_default() -> None:
    def no_type(*, smallest=20):  # type: ignore[no-untyped-def]
        return smallest

    def no_default(*, smallest: int) -> int:
        return smallest

    for wrong in (no_type, no_default):
        with pytest.raises(InvalidInputError, match=r"'smallest'.*needs a type and a default"):
            list(options_of(wrong))


def test_an_option_of_a_type_that_is_not_known() -> None:
    def unknown(*, what: Nothing = None) -> None:
        pass

    with pytest.raises(InvalidInputError, match=r"unknown.*Nothing.*not only for type checkers"):
        list(options_of(unknown))


def test_good_values_pass() -> None:
    given = {"smallest": np.int16(3), "share": 1, "mode": "b", "deep": True, "side": Side.RIGHT, "limit": None}

    checked = checked_options(example, {**given, "source": given})

    assert checked == {**given, "smallest": 3, "share": 1.0, "source": given}
    assert type(checked["smallest"]) is int
    assert type(checked["share"]) is float
    assert checked_options(example, {"limit": 2})["limit"] == 2.0


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"sharr": 1}, InvalidInputError, "no option sharr; options are smallest, share"),
        ({"smallest": 2.5}, InvalidTypeError, "smallest is a whole number; got 2.5"),
        ({"smallest": True}, InvalidTypeError, "whole number"),
        ({"share": "0.5"}, InvalidTypeError, "share is a number"),
        ({"share": float("nan")}, InvalidInputError, "share is a number"),
        ({"share": 1.5}, InvalidInputError, "share is at least 0.0 and at most 1.0; got 1.5"),
        ({"mode": "c"}, InvalidInputError, "mode is one of a, b; got 'c'"),
        ({"deep": 1}, InvalidTypeError, "deep is a bool"),
        ({"side": "l"}, InvalidTypeError, "side is a Side"),
        ({"limit": "x"}, InvalidTypeError, "limit is a number"),
    ],
)
def test_bad_values_are_refused(given: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        checked_options(example, given)


def test_one_without_options_says_so() -> None:
    with pytest.raises(InvalidInputError, match="it has none"):
        checked_options(lambda mask: mask, {"share": 1})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("smallest", "30", 30),
        ("share", ".25", 0.25),
        ("mode", "b", "b"),
        ("deep", "Yes", True),
        ("deep", "0", False),
        ("side", "right", Side.RIGHT),
        ("side", "L", Side.LEFT),
        ("limit", "none", None),
        ("limit", "1e3", 1000.0),
        ("where", "3,4", (3, 4)),
        ("weights", "1,2.5,3", (1.0, 2.5, 3.0)),
        ("path", "a/b", Path("a/b")),
        ("name", "none", "none"),
    ],
)
def test_text_is_read(name: str, text: str, value: Any) -> None:
    assert parsed_options(example, {name: text}) == {name: value}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("smallest", "a", "smallest cannot be read from 'a'; it is a whole number"),
        ("share", "2", "at most 1.0"),
        ("share", "nan", "share is a number"),
        ("mode", "c", "one of a, b"),
        ("deep", "maybe", "yes or no"),
        ("side", "up", "one of left, right"),
        ("where", "1,2,3", "where cannot be read"),
        ("other", "1", "no option other"),
    ],
)
def test_text_that_cannot_be_read(name: str, text: str, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        parsed_options(example, {name: text})
