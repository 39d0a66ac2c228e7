from __future__ import annotations

import socket
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.volumes import open_volume
from sam2_core.volumes.source import is_file_of, is_url, kind_of, local_path, named_suffix, open_url
from tests.volumes.web_folder import web_folder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket/a.zarr", True),
        ("memory://a.zarr", True),
        ("https://host/a.tif?x=1", True),
        ("zip::s3://bucket/a.zip", True),
        ("C:\\data\\a.tif", False),
        ("data/a.tif", False),
        (Path("a.tif"), False),
        (3, False),
    ],
)
def test_urls(text, expected):
    assert is_url(text) is expected


def test_local_files_behind_urls(tmp_path):
    path = tmp_path / "ä b.tif"
    assert local_path(path.as_uri()) == path
    assert local_path("s3://bucket/a.tif") is None
    assert named_suffix("https://host/dir.x/a.TIF?x=.png") == ".tif"
    assert named_suffix("zip://a.zarr::s3://bucket/b.zip") == ".zarr"
    assert named_suffix("simplecache::https://host/a.tif") == ".tif"
    assert named_suffix("zip://::s3://bucket/b.zip") == ".zip"
    assert named_suffix(Path("a.OME.Tif")) == ".tif"


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"II*\x00", "tiff"),
        (b"MM\x00+", "tiff"),
        (b"\x89PNG\r\n", "picture"),
        (b"RIFF....WEBP", "picture"),
        (b"....ftypmp42", "video"),
        (b"RIFF....AVI ", "video"),
        (b"hello", ""),
        (b"", ""),
    ],
)
def test_first_bytes(tmp_path, start, kind):
    assert kind_of(start) == kind
    (tmp_path / "a").write_bytes(start)
    assert kind_of(tmp_path / "a") == kind
    assert kind_of(tmp_path) == ""


def test_known_endings_are_believed_and_others_looked_into(tmp_path):
    for name, content, score in [("a.tif", b"<html>", 2), ("b.dat", b"II*\x00", 2), ("c.png", b"II*\x00", 0)]:
        (tmp_path / name).write_bytes(content)
        assert is_file_of(tmp_path / name, (".tif",), "tiff") == score
    assert is_file_of(b"II*\x00", (".tif",), "tiff") == 2
    assert is_file_of("a.tif", (".tif",), "tiff") == 0


def test_urls_that_cannot_be_opened():
    with pytest.raises(MissingFileError, match="memory://nowhere/a"):
        open_url("memory://nowhere/a.tif")
    with pytest.raises(InvalidInputError, match="cannot be opened"):
        open_url("foo://a.tif")


def test_a_server_that_does_not_answer_is_not_a_file_that_is_missing():
    pytest.importorskip("aiohttp")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/a.tif"
        with pytest.raises(InvalidInputError, match=r"cannot be opened.*onnect"):
            open_url(url)
        with pytest.raises(InvalidInputError, match=r"cannot be opened.*onnect"):
            open_volume(url)


def test_files_behind_chained_addresses(tmp_path):
    pytest.importorskip("aiohttp")
    pixels = np.arange(3 * 8 * 9, dtype=np.uint8).reshape(3, 8, 9)
    tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, metadata={"axes": "ZYX"})
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "a.tif", "inside/a.tif")
    with web_folder(tmp_path) as web:
        for address in (f"{web}/a.tif", f"simplecache::{web}/a.tif", f"zip://inside/a.tif::{web}/a.zip"):
            assert np.array_equal(open_volume(address).read(), pixels)
        with pytest.raises(MissingFileError, match=r"no file at .*none\.tif"):
            open_volume(f"{web}/none.tif")
