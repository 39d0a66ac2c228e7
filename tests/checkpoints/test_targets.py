"""The list of classes a configuration may name."""

from __future__ import annotations

import importlib

import pytest

from sam2_core.checkpoints import targets
from sam2_core.checkpoints.targets import allow_target, allowed_targets, resolve_target
from sam2_core.errors import ConfigError


@pytest.fixture(autouse=True)
def own_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "_allowed", dict(targets._allowed))


@pytest.mark.parametrize("class_name", sorted(set(allowed_targets().values())))
def test_every_target_is_a_class_that_exists(class_name: str) -> None:
    module, name = class_name.rsplit(".", 1)

    assert isinstance(getattr(importlib.import_module(module), name), type)


def test_official_and_own_names_lead_to_the_same_class() -> None:
    ours = "sam2_core.model.hiera.Hiera"

    assert (
        resolve_target("sam2.modeling.backbones.hieradet.Hiera", where="x") == resolve_target(ours, where="x") == ours
    )


@pytest.mark.parametrize(
    "name", ["os.system", "builtins.eval", "sam2_core.model.hiera", "sam2.build_sam.build_sam2", ""]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"model\.trunk: target .* is not allowed"):
        resolve_target(name, where="model.trunk")


def test_a_target_is_a_string() -> None:
    with pytest.raises(ConfigError, match="dotted name of a class, got int"):
        resolve_target(3, where="model")


def test_a_class_can_be_allowed() -> None:
    allow_target("their_lab.model.Network", "somewhere.model.Network")
    allow_target("their_lab.model.Network", "somewhere.model.Network")
    allow_target("my_lab.encoder.Encoder")

    assert resolve_target("their_lab.model.Network", where="x") == "somewhere.model.Network"
    assert resolve_target("my_lab.encoder.Encoder", where="x") == "my_lab.encoder.Encoder"


def test_a_name_cannot_be_taken_over() -> None:
    with pytest.raises(ConfigError, match="already leads to"):
        allow_target("sam2.modeling.sam2_base.SAM2Base", "my_lab.Other")


@pytest.mark.parametrize("name", ["eval", "a b.c", "a..b", "os.system('x')"])
def test_only_dotted_names_can_be_allowed(name: str) -> None:
    with pytest.raises(ConfigError, match="dotted name"):
        allow_target(name)
