"""Configurations: found by name from anywhere, translated, refused where they would run something else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from sam2_core.checkpoints.config import config_names, find_config, instantiate_model, load_config, model_section
from sam2_core.checkpoints.initialisation import WithoutRandomWeights
from sam2_core.errors import ConfigError
from sam2_core.model.sam2_base import SAM2Base

TINY = "configs/sam2.1/sam2.1_hiera_t.yaml"


@pytest.mark.parametrize(
    "name",
    [
        TINY,
        "configs/sam2.1/sam2.1_hiera_t",
        "sam2.1/sam2.1_hiera_t.yaml",
        "sam2.1_hiera_t.yaml",
        "sam2.1_hiera_t",
        "configs\\sam2.1\\sam2.1_hiera_t.yaml",
        Path(TINY),
    ],
)
def test_a_configuration_is_found_by_its_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert find_config(name).as_posix().endswith(f"checkpoints/{TINY}")


@pytest.mark.parametrize("letter", ["t", "s", "b+", "l"])
def test_the_old_top_level_names_mean_sam_2(letter: str) -> None:
    assert find_config(f"sam2_hiera_{letter}.yaml").as_posix().endswith(f"configs/sam2/sam2_hiera_{letter}.yaml")


def test_a_file_is_found_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yaml").write_text("model: {image_size: 512}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    for name in ("mine.yaml", "mine", "./mine.yaml", tmp_path / "mine.yaml", str(tmp_path / "mine.yaml")):
        assert load_config(name).model.image_size == 512


def test_a_name_means_the_same_whatever_lies_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sam2.1_hiera_t.yaml").write_text("model: {image_size: 512}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    assert load_config("sam2.1_hiera_t.yaml").model.image_size == 1024
    assert load_config("./sam2.1_hiera_t.yaml").model.image_size == 512


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean configs/sam2.1/sam2.1_hiera_\S+.*a path to a YAML file"):
        find_config("configs/sam2.1/sam2.1_hiera_tiny.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not hold a YAML mapping"),
        ("- 1\n- 2", "does not hold a YAML mapping"),
        ("model: [1", "not a readable YAML"),
        ("model: !!python/object/apply:os.system ['true']", "not a readable YAML"),
        ("defaults: [base, _self_]\nmodel: {a: 1}", "asks Hydra to compose"),
    ],
)
def test_files_that_are_no_configuration(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_a_configuration_already_read_is_copied() -> None:
    config = load_config(TINY)
    OmegaConf.set_readonly(config, True)

    changed = load_config(config, ["model.image_size=512", "++model.new=1"])

    assert (config.model.image_size, changed.model.image_size) == (1024, 512)


def test_the_model_is_found_in_a_training_configuration_too() -> None:
    assert model_section(OmegaConf.create({"trainer": {"model": {"_target_": "x"}}}))._target_ == "x"
    assert model_section(OmegaConf.create({"_target_": "y"}))._target_ == "y"
    with pytest.raises(ConfigError, match=r"no 'model' entry.*\['launcher'\]"):
        model_section(OmegaConf.create({"launcher": {}}))


def with_official_targets(node: DictConfig) -> DictConfig:
    """The tiny configuration as the official file writes it."""
    text = OmegaConf.to_yaml(node)
    for ours, theirs in (
        ("sam2_core.model.image_encoder", "sam2.modeling.backbones.image_encoder"),
        ("sam2_core.model.hiera", "sam2.modeling.backbones.hieradet"),
        ("sam2_core.model.attention", "sam2.modeling.sam.transformer"),
        ("sam2_core.model.", "sam2.modeling."),
    ):
        text = text.replace(ours, theirs)
    assert "sam2_core" not in text
    return OmegaConf.create(text)  # type: ignore[return-value]


def test_an_official_file_builds_our_model() -> None:
    config = with_official_targets(load_config(TINY))
    with WithoutRandomWeights():
        model = instantiate_model(config)

    assert type(model) is SAM2Base
    assert {type(module).__module__.split(".")[0] for module in model.modules()} <= {"sam2_core", "torch"}


def test_interpolations_inside_the_configuration_work() -> None:
    config = load_config(TINY, ["++scratch.resolution=512", "model.image_size=${scratch.resolution}"])
    with WithoutRandomWeights():
        model = instantiate_model(config)

    assert model.image_size == 512


@pytest.mark.parametrize(
    "override",
    [
        "model._target_=os.system",
        "model.image_encoder.trunk._target_=subprocess.Popen",
        "++model.memory_encoder.fuser.layer.extra={_target_:builtins.print}",
        "++model.sam_mask_decoder_extra_args.x=[{_target_:builtins.exec}]",
    ],
)
def test_targets_outside_the_list_are_refused(override: str) -> None:
    with pytest.raises(ConfigError, match="is not allowed"):
        instantiate_model(load_config(TINY, [override]))


@pytest.mark.parametrize(
    "text", ["${oc.env:HOME}", "${eval:1+1}", "a ${ oc.env : HOME}", "${${x}:1}", "${oc.decode:'1'}"]
)
@pytest.mark.parametrize("place", ["model", "elsewhere"])
def test_resolvers_that_reach_outside_are_refused(text: str, place: str) -> None:
    config = load_config(TINY)
    if place == "model":
        config.model.image_size = text
    else:
        config.elsewhere = text
        config.model.image_size = "${elsewhere}"

    with pytest.raises(ConfigError, match="resolver that is not allowed"):
        instantiate_model(config)


def test_the_resolvers_of_training_configurations_may_be_used() -> None:
    config = load_config(TINY, ["model.image_size='${oc.select:scratch.size,512}'"])
    with WithoutRandomWeights():
        assert instantiate_model(config).image_size == 512


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.image_size=${nowhere}", "cannot be resolved"),
        ("model.image_size='???'", "cannot be resolved"),
        ("++model.unknown_option=1", "(?s)does not build a model.*unknown_option"),
        ("model._target_=sam2_core.model.hiera.Hiera", "does not build a model|expected a SAM2Base"),
    ],
)
def test_what_builds_no_model_is_a_config_error(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message), WithoutRandomWeights():
        instantiate_model(load_config(TINY, [override]))


def test_lists_reach_the_model_as_plain_lists() -> None:
    with WithoutRandomWeights():
        model = instantiate_model(load_config(TINY, ["++model.sam_mask_decoder_extra_args={}"]))

    values = [value for module in model.modules() for value in vars(module).values()]
    assert not any(type(value).__module__.startswith("omegaconf") for value in values)


def test_hydras_global_state_is_left_alone() -> None:
    assert not GlobalHydra.instance().is_initialized()
    load_config(TINY, ["model.image_size=512"])
    with WithoutRandomWeights():
        instantiate_model(load_config(TINY))
    assert not GlobalHydra.instance().is_initialized()


def test_models_are_built_inside_somebodys_hydra_application(tmp_path: Path, repository: Path) -> None:
    program = Path(__file__).with_name("hydra_application.py")
    done = subprocess.run(
        [sys.executable, str(program), "+extra=['++model.image_size=512']", "hydra.run.dir=run"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(repository)},
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["512", "471", "468", "1024"]


def test_every_configuration_is_listed_once() -> None:
    assert len(set(config_names())) == len(config_names()) >= 8
