"""Names and options of contributions."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.hooks import CliCommand, Option, options_of


@pytest.mark.parametrize("name", ["a", "sam2.1_hiera-tiny+x", "3d"])
def test_good_names(name: str) -> None:
    CliCommand(name, function=print).check()


@pytest.mark.parametrize("name", ["", "A", " a", "a b", "-a", "a/b", "ä"])
def test_bad_names(name: str) -> None:
    with pytest.raises(InvalidInputError, match="is no name"):
        CliCommand(name, function=print).check()


def test_a_name_that_is_no_string() -> None:
    wrong: Any = 3
    with pytest.raises(InvalidTypeError, match="must be a string"):
        CliCommand(wrong, function=print).check()


def test_what_must_be_callable() -> None:
    wrong: Any = "print"
    with pytest.raises(InvalidTypeError, match=r"function of the CliCommand 'a' must be callable"):
        CliCommand("a", function=wrong).check()


def test_options_are_the_keyword_only_parameters() -> None:
    def filtered(mask: Any, *, smallest: int = 20, share: Annotated[float, {"max": 1.0}] = 0.5) -> Any:
        return mask

    assert list(options_of(filtered)) == [
        Option("smallest", int, 20),
        Option("share", Annotated[float, {"max": 1.0}], 0.5),
    ]


def test_an_option_without_type_or_default() -> None:
    def no_type(*, smallest=20):  # type: ignore[no-untyped-def]
        return smallest

    def no_default(*, smallest: int) -> int:
        return smallest

    for wrong in (no_type, no_default):
        with pytest.raises(InvalidInputError, match=r"'smallest'.*needs a type and a default"):
            list(options_of(wrong))
