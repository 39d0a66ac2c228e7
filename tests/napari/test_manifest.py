"""The manifest: every command imports, every key and setting in it is one that the code asks for."""

from __future__ import annotations

import importlib
import os
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.source import (
    MICROSCOPE_SUFFIXES,
    PICTURE_SUFFIXES,
    TIFF_SUFFIXES,
    VIDEO_SUFFIXES,
    ZIP_SUFFIXES,
)
from sam2_napari.keys import normal_key
from tests.napari.scene import MANIFEST


@pytest.fixture(scope="module")
def manifest() -> Any:
    from npe2 import PluginManifest

    return PluginManifest.from_file(MANIFEST)


def test_it_is_the_release_that_was_asked_for() -> None:
    """`make test-napari-first` asks for the first one that the package says it works with."""
    import napari

    project = tomllib.loads((MANIFEST.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    (least,) = (one for one in project["project"]["optional-dependencies"]["napari"] if one.startswith("napari>="))
    first = next(one for one in project["dependency-groups"]["test-napari-first"] if one.startswith("napari=="))
    assert first.removeprefix("napari==") in SpecifierSet(least.removeprefix("napari"))
    assert first == f"napari=={Version(least.removeprefix('napari>='))}.0"
    if os.environ.get("NAPARI_RELEASE") == "first":
        assert f"napari=={napari.__version__}" == first
    assert Version(napari.__version__) in SpecifierSet(least.removeprefix("napari"))


def test_every_command_imports(manifest: Any) -> None:
    for command in manifest.contributions.commands:
        module, name = command.python_name.split(":")
        assert callable(getattr(importlib.import_module(module), name)), command.python_name


def test_contributions_name_commands_that_there_are(manifest: Any) -> None:
    there = {command.id for command in manifest.contributions.commands}
    used = {
        one.command
        for kind in ("widgets", "readers", "writers", "sample_data")
        for one in getattr(manifest.contributions, kind)
    }
    used |= {item.command for items in manifest.contributions.menus.values() for item in items}

    assert used == there


def test_every_image_that_has_a_reader_can_be_opened_by_its_name(manifest: Any) -> None:
    (reader,) = manifest.contributions.readers
    endings = (".zarr", *ZIP_SUFFIXES, *PICTURE_SUFFIXES, *TIFF_SUFFIXES, *VIDEO_SUFFIXES, *MICROSCOPE_SUFFIXES)

    assert set(reader.filename_patterns) == {f"*{ending}" for ending in endings}


def test_settings_are_those_the_code_asks_for(manifest: Any) -> None:
    from sam2_core.hooks import PromptType, get_plugins
    from sam2_napari.keys import ACTIONS
    from sam2_napari.settings import DEFAULTS

    groups = manifest.contributions.configurations
    assert set(groups) == set(DEFAULTS)
    for group in set(DEFAULTS) - {"keys"}:
        assert {name: one.default for name, one in groups[group].properties.items()} == DEFAULTS[group]
    keys = {name: one.default for name, one in groups["keys"].properties.items()}
    tools = get_plugins().contributions(PromptType)
    built_in = {name: one.contribution for name, one in tools.items() if f"tool_{name}" in keys}
    assert len(built_in) == len(keys) - len(ACTIONS)
    expected = {action.name: action.key for action in ACTIONS}
    expected |= {f"tool_{name}": (one.key or "").upper() for name, one in built_in.items()}
    assert keys == expected
    used = [key for key in keys.values() if key]
    assert len(used) == len(set(used)), "two actions have one key"


def test_no_key_is_one_of_the_viewers_or_the_only_one_of_a_mode(manifest: Any) -> None:
    """On the session's layers letters are ours; what they mean to napari there has a number too."""
    from napari.utils.action_manager import action_manager
    from napari.utils.shortcuts import default_shortcuts

    ours = {normal_key(one.default) for one in manifest.contributions.configurations["keys"].properties.values()}
    # the shapes of a session are not edited; its labels are new when a person begins another object
    without = {"new_label", "toggle_preserve_labels", "select_all_in_slice", "complete_polygon", "reset_polygon"}
    for name, keys in default_shortcuts.items():
        place = action_manager._actions[name].keymapprovider.__name__
        taken = {normal_key(str(key)) for key in keys} & ours
        if place == "ViewerModel":
            assert not taken, name
        elif place in ("Labels", "Points"):
            assert len(taken) < len(keys) or name.removeprefix("napari:") in without, name


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    from sam2_napari.reader import get_reader
    from sam2_napari.writer import write_labels

    labels = np.zeros((3, 20, 30), np.uint16)
    labels[1, 3:9, 4:20] = 5
    path = str(tmp_path / "cells.zarr")
    assert write_labels(path, labels, {"axis_labels": ("z", "y", "x"), "scale": (2.0, 0.5, 0.5)}) == [path]
    ((data, described, kind),) = get_reader(path)(path)

    assert kind == "image"
    assert described["axis_labels"] == ("z", "y", "x")
    np.testing.assert_array_equal(np.asarray(data), labels)
    np.testing.assert_array_equal(data[1, 2:10:3, -26:], labels[1, 2:10:3, -26:])
    np.testing.assert_array_equal(data[..., 4], labels[..., 4])
    assert data[0:0].shape == (0, 20, 30)
    assert get_reader(str(tmp_path / "nothing.zarr")) is None

    # as napari names axes that nobody named
    unnamed = {"axis_labels": ("axis -3", "axis -2", "axis -1"), "scale": (1.0, 1.0, 1.0)}
    (path,) = write_labels(str(tmp_path / "unnamed.zarr"), labels, unnamed)
    np.testing.assert_array_equal(np.asarray(get_reader(path)(path)[0][0]), labels)
    with pytest.raises(InvalidInputError, match="position on c"):
        write_labels(str(tmp_path / "channels.zarr"), labels, {"axis_labels": ("c", "y", "x")})


@pytest.mark.parametrize(
    ("key", "axes"),
    [
        ("cells", "yx"),
        ("stack", "zyx"),
        ("time", "tyx"),
        ("divisions", "tyx"),
        ("organelles", "zyx"),
        ("filaments", "tyx"),
        ("volumes", "tzyx"),
    ],
)
def test_sample_data_is_drawn(manifest: Any, key: str, axes: str) -> None:
    (listed,) = [one for one in manifest.contributions.sample_data if one.key == key]
    (command,) = [one for one in manifest.contributions.commands if one.id == listed.command]
    module, function = command.python_name.split(":")
    ((image, described, kind),) = getattr(importlib.import_module(module), function)()
    assert kind == "image"
    assert "".join(described["axis_labels"]) == axes
    assert image.ndim == len(axes) == len(described.get("scale", axes))
    assert all(part.any() for part in image)


def test_importing_the_dock_does_not_import_torch(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = "import sys, sam2_napari.dock; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=MANIFEST.parents[1]).returncode == 0
