"""Every kind of contribution refuses what cannot work, and takes what can; the hooks are sam2_<kinds>."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sam2_core import hooks
from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.hooks.specification import HOOK_OF_KIND
from tests.hooks.added import plugins_adding

GOOD: dict[str, dict[str, Any]] = {
    "CliCommand": {"function": print},
    "DatasetKind": {"open": print},
    "FrontEnd": {"open": print},
    "Kernel": {"operator": "connected_components", "device": "cpu", "function": print},
    "LabelFormat": {"destination": "NAME.x", "file_name": "labels.x", "open_writer": print},
    "Loss": {"compute": print},
    "MaskFilter": {"apply": print},
    "Metric": {"measure": print},
    "ModelEntry": {"config": "sam2_hiera_t.yaml", "file_name": "a.pt", "folder": Path()},
    "Propagator": {"propagate": print},
    "PromptType": {"gesture": "none", "to_prompts": print},
    "Recipe": {"train": print},
    "TrainerKind": {"make": print},
    "TrainingCallback": {"make": print},
    "VolumeReader": {"matches": len, "open": print},
}


def without_options(*given: Any) -> None:
    pass


def untyped(mask, *, share=1):  # type: ignore[no-untyped-def]
    return mask


def made(kind: str, **changed: Any) -> hooks.Contribution:
    given = {name: without_options if value is print else value for name, value in GOOD[kind].items()}
    made: hooks.Contribution = getattr(hooks, kind)("a-name", **{**given, **changed})
    return made


@pytest.mark.parametrize("kind", GOOD)
def test_a_good_one_is_found_through_its_hook(kind: str) -> None:
    one = made(kind)
    plugins = plugins_adding(one)

    assert plugins.find(type(one), "a-name").contribution is one
    assert plugins.failures == []


CALLABLES = [(kind, name) for kind in GOOD for name, value in GOOD[kind].items() if callable(value)]


@pytest.mark.parametrize(("kind", "attribute"), CALLABLES)
def test_what_must_be_callable_is_refused_otherwise(kind: str, attribute: str) -> None:
    with pytest.raises(InvalidTypeError, match=f"{attribute} of the {kind} 'a-name' must be callable"):
        made(kind, **{attribute: "nothing"}).check()


@pytest.mark.parametrize(
    ("kind", "attribute"),
    [
        ("DatasetKind", "open"),
        ("FrontEnd", "open"),
        ("Loss", "compute"),
        ("MaskFilter", "apply"),
        ("Metric", "measure"),
        ("PromptType", "to_prompts"),
        ("Propagator", "propagate"),
        ("Recipe", "train"),
        ("TrainerKind", "make"),
        ("TrainingCallback", "make"),
    ],
)
def test_options_need_types(kind: str, attribute: str) -> None:
    with pytest.raises(InvalidInputError, match="needs a type"):
        made(kind, **{attribute: untyped}).check()


@pytest.mark.parametrize(
    ("kind", "changed", "says"),
    [
        ("Kernel", {"operator": ""}, "operator of the kernel"),
        ("Kernel", {"device": None}, "device of the kernel"),
        ("LabelFormat", {"dtype": "uint64"}, "uint64"),
        ("LabelFormat", {"dtypes": ("uint8",)}, "uint16"),
        ("Metric", {"better": "more"}, "higher or lower"),
        ("ModelEntry", {"url": "https://host/a.pt"}, "either a folder"),
        ("ModelEntry", {"folder": None}, "either a folder"),
    ],
)
def test_data_that_makes_no_sense(kind: str, changed: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        made(kind, **changed).check()


def test_every_kind_is_tried_here() -> None:
    tried = set(GOOD)

    assert {kind.__name__ for kind in HOOK_OF_KIND} == tried
