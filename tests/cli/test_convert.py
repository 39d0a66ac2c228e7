from __future__ import annotations

import numpy as np
import pytest
import tifffile

from sam2_core.volumes.labels import open_labels
from tests.cli.test_app import run


@pytest.fixture
def labels(tmp_path):
    pixels = np.zeros((4, 20, 30), np.uint16)
    pixels[1:3, 3:9, 4:11] = 7
    pixels[2, 12:18, 14:21] = 200
    tifffile.imwrite(tmp_path / "labels.tif", pixels, imagej=True, metadata={"axes": "TYX"})
    return tmp_path / "labels.tif", pixels


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("a.zarr", []),
        ("a.json", []),
        ("a.zip", []),
        ("01_RES", []),
        ("masks", ["--format", "png"]),
        ("b.tif", []),
    ],
)
def test_there_and_back(capsys, tmp_path, labels, name, arguments):
    path, pixels = labels
    code, out, err = run(capsys, "convert", path, tmp_path / name, *arguments)
    assert code == 0, err
    assert "4 frames" in out
    code, _, err = run(capsys, "convert", tmp_path / name, tmp_path / "back.tif")
    assert code == 0, err
    assert np.array_equal(tifffile.imread(tmp_path / "back.tif"), pixels)


def test_some_frames(capsys, tmp_path, labels):
    path, pixels = labels
    assert run(capsys, "convert", path, tmp_path / "a.zarr", "--frames", "1:3")[0] == 0
    with open_labels(tmp_path / "a.zarr") as found:
        assert np.array_equal(np.stack(list(found)), pixels[1:3])


def test_refusals(capsys, tmp_path, labels):
    path, _ = labels
    existing = tmp_path / "a.json"
    existing.write_text("{}")
    for arguments, message in [
        ([path, existing], "exists already. Continue it with --resume"),
        ([path, path], "the same"),
        ([path, tmp_path / "folder"], "does not say which format"),
        ([tmp_path / "none.tif", tmp_path / "a.zarr"], "no file or folder"),
        ([path, tmp_path / "b.zarr", "--frames", "3:9"], "STOP at most 4"),
    ]:
        code, out, err = run(capsys, "convert", *arguments)
        assert (code, out) == (2, "")
        assert message in err
    assert existing.read_text() == "{}"


def test_to_a_url_and_from_it(capsys, tmp_path, labels):
    path, pixels = labels
    url = f"memory://{tmp_path.name}/a.zarr"
    code, out, err = run(capsys, "convert", path, url)
    assert code == 0, err
    assert f"Written: {url}" in out.replace("\n", "")
    for source in (url, (tmp_path / "labels.tif").as_uri()):
        code, _, err = run(capsys, "convert", source, tmp_path / "back.tif", "--overwrite")
        assert code == 0, err
        assert np.array_equal(tifffile.imread(tmp_path / "back.tif"), pixels)
    code, _, err = run(capsys, "convert", url, url)
    assert (code, "the same" in err) == (2, True)


def test_an_image_is_not_taken_for_labels(capsys, tmp_path):
    random = np.random.default_rng(0)
    dim = random.poisson(3, (3, 64, 80))
    for name, pixels, message in [
        ("image.tif", random.integers(50, 4000, (3, 64, 80)).astype(np.uint16), "looks like an image, not like labels"),
        ("dim.tif", dim.astype(np.uint8), "looks like an image, not like labels"),
        ("float.tif", random.random((3, 64, 80)).astype(np.float32), "holds fractions"),
        ("rgb.tif", random.integers(0, 255, (3, 64, 80, 3)).astype(np.uint8), "rgb.tif"),
    ]:
        photometric = "rgb" if pixels.ndim == 4 else "minisblack"
        tifffile.imwrite(tmp_path / name, pixels, photometric=photometric)
        code, out, err = run(capsys, "convert", tmp_path / name, tmp_path / "labels.zarr")
        assert (code, out) == (2, ""), name
        assert message in " ".join(err.split())
        assert not list(tmp_path.glob("labels.zarr*"))
    code, _, err = run(capsys, "convert", tmp_path / "dim.tif", tmp_path / "labels.zarr", "--as-labels")
    assert code == 0, err
    with open_labels(tmp_path / "labels.zarr") as found:
        assert np.array_equal(np.stack(list(found)), dim)
