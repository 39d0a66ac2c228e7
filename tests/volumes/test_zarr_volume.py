from __future__ import annotations

import shutil
import zipfile

import fsspec
import numpy as np
import pytest
import zarr

from sam2_core.errors import InvalidInputError, MissingDependencyError, MissingFileError
from sam2_core.volumes import open_frames, open_volume
from tests.volumes.web_folder import web_folder

generator = np.random.default_rng(21)
PIXELS = generator.integers(0, 4000, (2, 3, 6, 16, 20)).astype(np.uint16)  # t, c, z, y, x
AXES = [
    {"name": "t", "type": "time", "unit": "second"},
    {"name": "c", "type": "channel"},
    {"name": "z", "type": "space", "unit": "micrometer"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
]


def write_ome(store, version, pixels=PIXELS, axes=AXES):
    """Write two levels as OME-Zarr with zarr alone."""
    steps = {"t": 30.0, "c": 1.0, "z": 2.0, "y": 0.5, "x": 0.5}
    letters = [axis["name"] for axis in axes]
    datasets = [
        {
            "path": str(level),
            "coordinateTransformations": [
                {"type": "scale", "scale": [steps[a] * (2**level if a in "yx" else 1) for a in letters]}
            ],
        }
        for level in (0, 1)
    ]
    multiscales = [{"version": version, "name": "cells", "axes": axes, "datasets": datasets}]
    window = {"min": 0, "max": 65535, "start": 0, "end": 4000}
    channels = [{"label": name, "color": "FF0000", "window": window} for name in ("nuclei", "actin", "tubulin")]
    omero = {"channels": channels}
    group = zarr.create_group(store, zarr_format=2 if version == "0.4" else 3)
    if version == "0.4":
        group.attrs.update({"multiscales": multiscales, "omero": omero})
    else:
        group.attrs.update({"ome": {"version": version, "multiscales": multiscales, "omero": omero}})
    for level, data in enumerate((pixels, pixels[..., ::2, ::2])):
        chunks = (*[1] * (data.ndim - 2), 8, 10)
        names = {} if version == "0.4" else {"dimension_names": letters}
        array = group.create_array(str(level), shape=data.shape, chunks=chunks, dtype=data.dtype, **names)
        array[:] = data
    return store


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_what_we_write_is_ome_zarr(tmp_path, version):
    yaozarrs = pytest.importorskip("yaozarrs")
    yaozarrs.validate_zarr_store(str(write_ome(tmp_path / "a.ome.zarr", version)))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(
    "how", ["folder", "string", "zip", "zipped folder", "zip url", "zipped folder url", "memory", "file url", "group"]
)
def test_ome_zarr_wherever_it_lies(tmp_path, version, how):
    path = write_ome(tmp_path / "a.ome.zarr", version)
    source = path
    if how == "string":
        source = str(path)
    elif how.startswith("zip"):
        source = tmp_path / "a.ome.zarr.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for file in path.rglob("*"):
                if file.is_file():
                    archive.write(file, file.relative_to(tmp_path if "folder" in how else path).as_posix())
        if how.endswith("url"):
            url = f"memory://test-{version}-{how.split()[0]}/a.ome.zarr.zip"
            fsspec.filesystem("memory").pipe(url, source.read_bytes())
            source = url
    elif how == "memory":
        source = f"memory://test-{version}/a.ome.zarr"
        fsspec.filesystem("memory").put(str(path), f"/test-{version}/a.ome.zarr", recursive=True)
    elif how == "file url":
        source = path.as_uri()
    elif how == "group":
        source = zarr.open_group(path, mode="r")
    with open_volume(source) as volume:
        assert volume.axes == "tczyx"
        assert volume.shape == PIXELS.shape
        assert volume.dtype == np.uint16
        assert volume.scale == {"t": 30.0, "z": 2.0, "y": 0.5, "x": 0.5}
        assert volume.units == {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
        assert volume.channel_names == ("nuclei", "actin", "tubulin")
        assert volume.levels == 2
        assert volume.name.startswith("a.ome.zarr")
        assert np.array_equal(volume.read({"t": 1, "c": 2}), PIXELS[1, 2])
        stack = volume.stack(along="z", at={"t": 1}, channels=("actin", "nuclei"))
        assert stack.spacing == (2.0, 0.5, 0.5)
        assert stack.spacing_unit == "micrometer"
        assert np.array_equal(stack.read_raw(3), PIXELS[1, [1, 0], 3].transpose(1, 2, 0))


def zipped(folder, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*"):
            if file.is_file():
                archive.write(file, file.relative_to(folder.parent).as_posix())


def write_shards(path):
    names = ("t", "c", "z", "y", "x")
    array = zarr.create_array(
        path, shape=PIXELS.shape, chunks=(1, 1, 1, 8, 10), shards=(1, 1, 6, 16, 20), dtype="u2", dimension_names=names
    )
    array[:] = PIXELS


@pytest.mark.parametrize(
    ("version", "address"),
    [
        ("0.4", "{web}/a.ome.zarr"),
        ("0.5", "{web}/a.ome.zarr/"),
        ("0.5", "{web}/a.ome.zarr.zip"),
        ("0.5", "{web}/shards.zarr"),
        ("0.5", "zip://a.ome.zarr::{web}/a.ome.zarr.zip"),
        ("0.4", "simplecache::{web}/a.ome.zarr"),
        ("0.5", "dir://a.ome.zarr::file://{folder}"),
    ],
)
def test_ome_zarr_on_a_web_server_and_through_chained_addresses(tmp_path, version, address):
    pytest.importorskip("aiohttp")
    zipped(write_ome(tmp_path / "a.ome.zarr", version), tmp_path / "a.ome.zarr.zip")
    write_shards(tmp_path / "shards.zarr")
    with web_folder(tmp_path) as web:
        source = address.format(web=web, folder=tmp_path.as_posix())
        with open_volume(source) as volume:
            assert volume.shape == PIXELS.shape
            assert volume.address == source
            assert np.array_equal(volume.read({"t": 1, "c": 2}), PIXELS[1, 2])


def test_of_a_store_on_a_web_server_only_what_is_looked_at_is_fetched(tmp_path):
    """Counted by the server: opening fetches no chunk at all, a plane its own four, a window of one a single one."""
    pytest.importorskip("aiohttp")
    pixels = np.random.default_rng(0).integers(0, 4000, (30, 64, 64)).astype(np.uint16)
    array = zarr.create_array(str(tmp_path / "large.zarr"), shape=pixels.shape, chunks=(1, 32, 32), dtype="uint16")
    array[:] = pixels
    asked: list[str] = []

    def chunks() -> set[str]:
        found = {path.partition("/c/")[2] for path in asked if "/c/" in path}
        asked.clear()
        return found

    with web_folder(tmp_path, asked=asked) as web, open_volume(f"{web}/large.zarr", axes="zyx") as volume:
        assert volume.shape == pixels.shape
        assert asked  # it is this server that the metadata came from
        assert chunks() == set()
        stack = volume.stack(along="z", contrast=(0, 4000))
        assert chunks() == set()
        assert np.array_equal(stack.read_raw(7)[..., 0], pixels[7])
        assert chunks() == {f"7/{row}/{column}" for row in range(2) for column in range(2)}
        assert np.array_equal(stack.read_raw_window(20, slice(33, 60), slice(0, 30))[..., 0], pixels[20, 33:60, :30])
        assert chunks() == {"20/1/0"}
        assert np.array_equal(stack.read_raw(7)[..., 0], pixels[7])
        assert chunks() == set()  # reading never happens twice


def test_a_server_that_sends_no_parts_of_files_is_named_as_the_reason(tmp_path):
    pytest.importorskip("aiohttp")
    zipped(write_ome(tmp_path / "a.ome.zarr", "0.5"), tmp_path / "a.ome.zarr.zip")
    write_shards(tmp_path / "shards.zarr")
    with web_folder(tmp_path, sends_parts=False) as web:
        assert np.array_equal(open_volume(f"{web}/a.ome.zarr").read({"t": 1, "c": 2}), PIXELS[1, 2])
        with pytest.raises(InvalidInputError, match="range requests"):
            open_volume(f"{web}/a.ome.zarr.zip")
        with pytest.raises(InvalidInputError, match=r"chunk c/1/2/0/0/0.*range requests"):
            open_volume(f"{web}/shards.zarr").read({"t": 1, "c": 2, "z": 3})


def test_levels_have_their_own_scale(tmp_path):
    path = write_ome(tmp_path / "a.zarr", "0.5")
    with open_volume(path, level=1) as volume:
        assert volume.level == 1
        assert volume.scale["y"] == 1.0
        assert np.array_equal(volume.read({"t": 0, "c": 0, "z": 2}), PIXELS[0, 0, 2, ::2, ::2])
    for level in (2, -1):
        with pytest.raises(InvalidInputError, match="levels 0 to 1"):
            open_volume(path, level=level)


def test_fewer_axes_and_corrected_axes(tmp_path):
    path = write_ome(tmp_path / "a.zarr", "0.4", PIXELS[0, 0], AXES[2:])
    assert open_volume(path).axes == "zyx"
    assert open_volume(path).channel_names == ("0",)
    volume = open_volume(path, axes="tyx")
    assert (volume.axes, volume.scale["t"]) == ("tyx", 2.0)
    assert np.array_equal(open_frames(path).read_raw(3)[..., 0], PIXELS[0, 0, 3])


@pytest.mark.parametrize(
    "options",
    [
        {"zarr_format": 2, "chunks": (2, 8, 20)},
        {"zarr_format": 3, "chunks": (2, 8, 20)},
        {"zarr_format": 3, "chunks": (1, 8, 10), "shards": (4, 16, 20)},
        {"zarr_format": 2, "chunks": (6, 16, 20), "compressors": None},
    ],
)
@pytest.mark.parametrize("dtype", ["<u2", ">u2", "f4", "i1", "bool"])
def test_plain_arrays(tmp_path, options, dtype):
    if options["zarr_format"] == 3 and dtype == ">u2":
        dtype = "u2"
    data = (PIXELS[0, 0] % 2 if dtype == "bool" else PIXELS[0, 0] % 100).astype(dtype)
    array = zarr.create_array(tmp_path / "a.zarr", shape=data.shape, dtype=dtype, **options)
    array[:] = data
    for source in (array, tmp_path / "a.zarr"):
        volume = open_volume(source, axes="zyx")
        assert volume.dtype.isnative
        assert np.array_equal(volume.read({"z": slice(1, 5), "x": slice(3, 11)}), data[1:5, :, 3:11])
        assert np.array_equal(volume.stack().read_raw(4)[..., 0], data[4])
        assert volume.chunks == array.chunks
        assert volume.address == str(tmp_path / "a.zarr")


def test_dimension_names_are_axes(tmp_path):
    names = ("time", "Z", "y", "x")
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=(2, 3, 4, 5), chunks=(1, 1, 4, 5), dtype="u1", dimension_names=names
    )
    array[:] = 7
    assert open_volume(tmp_path / "a.zarr").axes == "tzyx"
    old = zarr.create_array(tmp_path / "b.zarr", shape=(2, 3, 4), chunks=(1, 3, 4), dtype="u1", zarr_format=2)
    old.attrs["_ARRAY_DIMENSIONS"] = ["channel", "y", "x"]
    assert open_volume(tmp_path / "b.zarr").axes == "cyx"


def test_unknown_axes_list_the_candidates(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", shape=(3, 16, 20), chunks=(1, 16, 20), dtype="u1")
    with pytest.raises(InvalidInputError, match=r'a\.zarr \(3 x 16 x 20\).*axes="zyx", axes="tyx", axes="cyx"'):
        open_volume(tmp_path / "a.zarr")
    assert open_frames(tmp_path / "a.zarr").axis == "frame"


def test_groups_of_several_images(tmp_path):
    group = zarr.create_group(tmp_path / "plate.zarr")
    group.create_group("OME")
    write_ome(tmp_path / "plate.zarr" / "0", "0.5")
    assert open_volume(tmp_path / "plate.zarr").axes == "tczyx"
    write_ome(tmp_path / "plate.zarr" / "1", "0.5", PIXELS[:1])
    with pytest.raises(InvalidInputError, match="It holds 0, 1: choose one with series="):
        open_volume(tmp_path / "plate.zarr")
    with pytest.raises(InvalidInputError, match="no item 2"):
        open_volume(tmp_path / "plate.zarr", series=2)
    assert open_volume(tmp_path / "plate.zarr", series=1).sizes["t"] == 1
    assert open_volume(tmp_path / "plate.zarr" / "1").sizes["t"] == 1
    with pytest.raises(InvalidInputError, match="is one image"):
        open_volume(tmp_path / "plate.zarr" / "1", series=0)
    zarr.create_group(tmp_path / "empty.zarr")
    with pytest.raises(InvalidInputError, match="holds nothing"):
        open_volume(tmp_path / "empty.zarr")


def test_metadata_that_cannot_be_understood(tmp_path):
    group = zarr.create_group(tmp_path / "a.zarr")
    group.attrs["ome"] = {"multiscales": [{"axes": AXES}]}
    with pytest.raises(InvalidInputError, match="cannot be understood"):
        open_volume(tmp_path / "a.zarr")
    write_ome(tmp_path / "b.zarr", "0.5")
    shutil.rmtree(tmp_path / "b.zarr" / "0")
    with pytest.raises(MissingFileError, match="'0' for level 0"):
        open_volume(tmp_path / "b.zarr")
    write_ome(tmp_path / "c.zarr", "0.5", PIXELS[0, 0], AXES[2:])
    group = zarr.open_group(tmp_path / "c.zarr")
    ome = dict(group.attrs["ome"])
    ome["multiscales"][0]["axes"][0] = {"name": "angle"}
    group.attrs["ome"] = ome
    with pytest.raises(InvalidInputError, match="axis 'angle'"):
        open_volume(tmp_path / "c.zarr")


def test_a_chunk_that_is_missing_is_the_fill_value_or_an_error(tmp_path):
    array = zarr.create_array(tmp_path / "a.zarr", shape=(3, 8, 8), chunks=(1, 4, 8), dtype="u1", fill_value=9)
    array[:] = 1
    (tmp_path / "a.zarr" / "c" / "1" / "0" / "0").unlink()
    volume = open_volume(tmp_path / "a.zarr", axes="zyx")
    plane = volume.read({"z": 1})
    assert (plane[:4] == 9).all()
    assert (plane[4:] == 1).all()
    strict = open_volume(tmp_path / "a.zarr", axes="zyx", strict=True)
    assert (strict.read({"z": 2}) == 1).all()
    assert (strict.read({"z": 1, "y": slice(4, 8)}) == 1).all()
    with pytest.raises(MissingFileError, match=r"Frame 1 of .*c/1/0/0.* is missing"):
        strict.stack().read(1)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_chunk_that_is_cut_short_names_itself(tmp_path, compressed, zarr_format):
    options = {} if compressed else {"compressors": None}
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=(3, 8, 8), chunks=(1, 4, 8), dtype="u2", zarr_format=zarr_format, **options
    )
    array[:] = generator.integers(0, 60000, array.shape)
    key = "c/2/1/0" if zarr_format == 3 else "2.1.0"
    chunk = tmp_path / "a.zarr" / key
    chunk.write_bytes(chunk.read_bytes()[:-10])
    volume = open_volume(tmp_path / "a.zarr", axes="zyx")
    assert volume.read({"z": 2, "y": slice(0, 4)}).shape == (4, 8)
    with pytest.raises(InvalidInputError, match=rf"chunk {key} of the zarr array .*a\.zarr"):
        volume.read()


def test_an_array_that_is_replaced_is_noticed(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", shape=(3, 8, 8), chunks=(1, 8, 8), dtype="u1")[:] = 1
    volume = open_volume(tmp_path / "a.zarr", axes="zyx")
    assert (volume.read({"z": 0}) == 1).all()
    shutil.rmtree(tmp_path / "a.zarr")
    with pytest.raises(MissingFileError, match="gone now"):
        volume.read({"z": 1})
    zarr.create_array(tmp_path / "a.zarr", shape=(3, 80, 80), chunks=(1, 8, 8), dtype="u1")
    with pytest.raises(InvalidInputError, match="changed since it was opened"):
        volume.read({"z": 1})


def test_what_is_not_there(tmp_path):
    with pytest.raises(MissingFileError, match="no file or folder"):
        open_volume(tmp_path / "none.zarr")
    for url in ("memory://nowhere/none.zarr", "memory://nowhere/none.tif", "memory://nowhere/none.png"):
        with pytest.raises(MissingFileError, match="nowhere/none"):
            open_volume(url)
    with pytest.raises(MissingFileError):
        open_volume((tmp_path / "none.zarr").as_uri())
    with pytest.raises(InvalidInputError, match=r"foo://bar/a\.zarr cannot be opened"):
        open_volume("foo://bar/a.zarr")
    (tmp_path / "half.zarr").mkdir()
    with pytest.raises(InvalidInputError, match="not a zarr array or group"):
        open_volume(tmp_path / "half.zarr")
    (tmp_path / "no.zip").write_bytes(b"no zip file")
    with pytest.raises(InvalidInputError, match=r"no\.zip cannot be opened"):
        open_volume(tmp_path / "no.zip")


def test_a_scheme_without_its_package_says_what_to_install(monkeypatch):
    def refuse(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", refuse)
    monkeypatch.setattr("zarr.storage.FsspecStore.from_url", refuse)
    with pytest.raises(MissingDependencyError, match="s3fs"):
        open_volume("s3://bucket/a.zarr")


def test_values_that_are_no_intensities_are_refused(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", shape=(8, 8), chunks=(8, 8), dtype="c8")
    with pytest.raises(TypeError, match="complex64"):
        open_volume(tmp_path / "a.zarr")


def test_an_axis_of_no_letter_has_to_be_named(tmp_path):
    angles = [{"name": "angle", "type": "space"}, *AXES[-3:]]
    path = tmp_path / "angles.zarr"
    group = zarr.create_group(path, zarr_format=3)
    scale = [{"type": "scale", "scale": [1.0, 2.0, 0.5, 0.5]}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": angles, "datasets": datasets}]}
    group.create_array("0", data=PIXELS[:, 0])
    with pytest.raises(InvalidInputError, match=r"'angle', which is none of t, c, z, y, x.*axes=\"czyx\""):
        open_volume(path)
    with open_volume(path, axes="tzyx") as volume:
        assert (volume.axes, volume.scale["z"]) == ("tzyx", 2.0)
        assert np.array_equal(volume.read(), PIXELS[:, 0])
