"""Errors are ours and the closest builtin at once."""

import inspect

import pytest

from sam2_core import errors

ERRORS = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, errors.Sam2Error) and value is not errors.Sam2Error
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_caught_as_ours_and_as_a_builtin(error: type[errors.Sam2Error]) -> None:
    builtin = [base for base in error.__mro__ if base.__module__ == "builtins" and base not in (Exception, object)]

    assert builtin[0] is not BaseException, "an error of ours is also the closest builtin"
    for kind in (errors.Sam2Error, builtin[0]):
        with pytest.raises(kind, match="expected this, got that"):
            raise error("expected this, got that")


def test_every_error_is_explained() -> None:
    assert all(error.__doc__ for error in ERRORS)
