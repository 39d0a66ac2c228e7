"""Overrides in Hydra's grammar."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from sam2_core.checkpoints.overrides import apply_overrides
from sam2_core.errors import ConfigError


def applied(*overrides: str) -> dict[str, object]:
    config = OmegaConf.create({"model": {"size": 1024, "stages": [1, 2], "inner": {"flag": False}, "nothing": None}})
    apply_overrides(config, overrides)
    return OmegaConf.to_container(config)["model"]  # type: ignore[index,call-overload,return-value]


@pytest.mark.parametrize(
    ("override", "key", "expected"),
    [
        ("model.size=512", "size", 512),
        ("++model.size=512", "size", 512),
        ("model.nothing=1e-6", "nothing", 1e-6),
        ("+model.new=0.05", "new", 0.05),
        ("++model.new=true", "new", True),
        ("++model.new=null", "new", None),
        ("++model.new=nearest", "new", "nearest"),
        ("++model.new='a b'", "new", "a b"),
        ("++model.deep.er.new=3", "deep", {"er": {"new": 3}}),
        ("model.stages=[2,6,36,4]", "stages", [2, 6, 36, 4]),
        ("model.inner.flag=True", "inner", {"flag": True}),
        ("++model.inner={other:1}", "inner", {"flag": False, "other": 1}),
        ("++model._target_=sam2.x.Y", "_target_", "sam2.x.Y"),
    ],
)
def test_values_are_set(override: str, key: str, expected: object) -> None:
    value = applied(override)[key]

    assert value == expected
    assert type(value) is type(expected)


def test_an_entry_is_removed() -> None:
    assert "size" not in applied("~model.size")


def test_later_overrides_win() -> None:
    assert applied("model.size=512", "model.size=256")["size"] == 256


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_arrive_as_they_were_written(number: float) -> None:
    assert applied(f"++model.size={number!r}")["size"] == number


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.sise=512", r"does not exist \(did you mean 'size'\?\); write \+\+model.sise"),
        ("+model.size=512", "exists; write"),
        ("~model.sise", "removes 'model.sise', which does not exist"),
        ("model.size=1,2", "sweep"),
        ("model/size=small", "config group"),
        ("model@package=small", "config group"),
        ("model.size", "cannot be read"),
        ("=3", "cannot be read"),
        (3, "is a string"),
    ],
)
def test_what_does_not_apply_is_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        applied(override)


def test_one_string_is_not_a_list_of_overrides() -> None:
    with pytest.raises(ConfigError, match="expected a list"):
        apply_overrides(OmegaConf.create({}), "++model.x=1")
