"""Names of contributions."""

from __future__ import annotations

from typing import Any

import pytest

from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.hooks import CliCommand


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
