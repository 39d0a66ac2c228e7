"""docs/volumes.md tells the truth: its code runs, top to bottom, and prints what it says."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from sam2_core.hooks import Plugins, Selection, using_plugins
from sam2_core.volumes import open_volume
from tests.volumes.test_zarr_volume import AXES, write_ome


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 4000, (2, 2, 12, 64, 80)).astype(np.uint16)
    write_ome(tmp_path / "cells.ome.zarr", "0.5", pixels, AXES)
    group = zarr.open_group(tmp_path / "cells.ome.zarr")
    ome = dict(group.attrs["ome"])
    ome["omero"]["channels"] = ome["omero"]["channels"][:2]
    group.attrs["ome"] = ome
    tifffile.imwrite(tmp_path / "stack.tif", pixels[0, 0])
    (tmp_path / "frames").mkdir()
    for index in range(3):
        Image.fromarray(pixels[0, 0, index].astype(np.uint8)).save(tmp_path / "frames" / f"{index}.png")
    return tmp_path


@pytest.fixture
def plugins():
    loaded = Plugins(Selection(only_builtin=True), strict=True)
    loaded.load_installed()
    with using_plugins(loaded):
        yield loaded


def test_the_page_runs_and_prints_what_it_says(folder, repository, capsys, plugins):
    page = (repository / "docs" / "volumes.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    names: dict[str, object] = {}
    exec(code, names)

    promised = [line.split("#", 1)[1].strip() for line in code.splitlines() if line.startswith("print(")]
    assert capsys.readouterr().out.splitlines() == promised
    assert names["window"].shape == (32, 50, 3)
    assert np.array_equal(names["again"].read(5), names["frame"])
    np.zeros((3, 64, 80), np.uint16).tofile(folder / "a.raw")
    assert open_volume(folder / "a.raw").sizes == {"z": 3, "y": 64, "x": 80}
