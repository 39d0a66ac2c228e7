"""The reader of microscope formats, on a stand-in for bioio that has the documented attributes."""

from __future__ import annotations

import datetime
import importlib.util
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import NamedTuple

import dask.array as da
import numpy as np
import pytest

from sam2_core.errors import InvalidInputError, MissingDependencyError
from sam2_core.volumes import open_frames, open_volume
from sam2_core.volumes.bioio_volume import BioioReader
from sam2_core.volumes.reader import OpenOptions
from tests.volumes.lif_file import LifImage, write_lif
from tests.volumes.nd2_file import write_nd2

PIXELS = np.random.default_rng(5).integers(0, 4000, (2, 2, 3, 16, 20)).astype(np.uint16)


class Sizes(NamedTuple):
    Z: float | None
    Y: float | None
    X: float | None


class UnsupportedFileFormatError(Exception):
    pass


class StandIn:
    """What bioio.BioImage has and this reader uses (bioio 3.6)."""

    scenes = ("Position 1",)
    order = "TCZYX"
    pixels = PIXELS
    channel_names = ("nuclei", "actin")
    physical_pixel_sizes = Sizes(2.0, 0.5, 0.25)
    time_interval = datetime.timedelta(minutes=1)
    resolution_levels = (0, 1)

    def __init__(self, path, **options):
        self.options = options
        if b"damaged" in Path(path).read_bytes():
            raise UnsupportedFileFormatError("does not support the image")
        self.current_resolution_level = 0
        self.scene = 0

    @property
    def dims(self):
        return types.SimpleNamespace(order=self.order)

    @property
    def dask_data(self):
        pixels = self.pixels + self.scene
        # readers of CZI and LIF read whole z-stacks unless told otherwise
        depth = 1 if "Z" not in self.options.get("chunk_dims", "ZYXS") else pixels.shape[2]
        return da.from_array(pixels[..., :: 2**self.current_resolution_level], chunks=(1, 1, depth, *pixels.shape[3:]))

    def set_scene(self, scene):
        self.scene = self.scenes.index(scene) if scene in self.scenes else scene

    def set_resolution_level(self, level):
        self.current_resolution_level = level


@pytest.fixture
def image(monkeypatch):
    module = types.ModuleType("bioio")
    module.__spec__ = ModuleSpec("bioio", None)
    module.BioImage = type("BioImage", (StandIn,), {})
    monkeypatch.setitem(sys.modules, "bioio", module)
    for name in ("bioio_czi", "bioio_lif"):
        reader = types.ModuleType(name)
        reader.__spec__ = ModuleSpec(name, None)
        reader.Reader = type("Reader", (), {})
        monkeypatch.setitem(sys.modules, name, reader)
    return module.BioImage


@pytest.fixture
def path(tmp_path):
    (tmp_path / "a.czi").write_bytes(b"anything")
    return tmp_path / "a.czi"


def test_without_bioio_the_error_says_what_to_install(path, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "bioio" else find_spec(name))
    with pytest.raises(MissingDependencyError, match=r"CZI file.*pip install 'sam2-lab\[formats\]'"):
        open_frames(path)


def test_axes_scale_and_channels(path, image):
    with open_volume(path) as volume:
        assert volume.sizes == {"t": 2, "c": 2, "z": 3, "y": 16, "x": 20}
        assert volume.scale == {"t": 60.0, "z": 2.0, "y": 0.5, "x": 0.25}
        assert volume.units == {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
        assert volume.channel_names == ("nuclei", "actin")
        assert volume.chunks == (1, 1, 1, 16, 20)
        stack = volume.stack(along="z", at={"t": 1}, channels=["actin"])
        assert np.array_equal(stack.read_raw(2)[..., 0], PIXELS[1, 1, 2])
    assert np.array_equal(open_volume(path, level=1).read({"t": 0, "c": 0, "z": 0}), PIXELS[0, 0, 0, :, ::2])
    with pytest.raises(InvalidInputError, match="levels 0 to 1"):
        open_volume(path, level=2)


@pytest.mark.parametrize("suffix", [".czi", ".lif"])
def test_a_plane_is_read_without_its_whole_stack(tmp_path, image, suffix):
    (tmp_path / f"a{suffix}").write_bytes(b"anything")
    assert open_volume(tmp_path / f"a{suffix}").chunks == (1, 1, 1, 16, 20)


@pytest.mark.parametrize("suffix", [".czi", ".lif"])
def test_colours_of_a_pixel_are_channels(tmp_path, image, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"anything")
    image.order, image.pixels = "TCZYXS", np.random.default_rng(6).integers(0, 255, (1, 1, 3, 8, 9, 3)).astype(np.uint8)
    volume = open_volume(path)
    assert volume.colour
    assert volume.sizes == {"t": 1, "c": 3, "z": 3, "y": 8, "x": 9}
    # CZI files have blue first
    expected = image.pixels[0, 0, 1][..., :: -1 if suffix == ".czi" else 1]
    assert np.array_equal(volume.stack(along="z").read(1), expected)


def test_one_of_several_scenes_has_to_be_chosen(path, image):
    image.scenes = ("Position 1", "Position 2")
    with pytest.raises(InvalidInputError, match=r"holds 2 images: 'Position 1', 'Position 2'.*series='Position 1'"):
        open_volume(path)
    with pytest.raises(InvalidInputError, match="none called 'Position 3'"):
        open_volume(path, series="Position 3")
    for series in ("Position 2", 1):
        assert np.array_equal(open_volume(path, series=series).read(), PIXELS + 1)


def test_damaged_and_changed_files(path, image, monkeypatch):
    volume = open_volume(path)
    path.write_bytes(b"damaged and longer")
    with pytest.raises(InvalidInputError, match="changed since it was opened"):
        volume.read({"t": 0})
    with pytest.raises(InvalidInputError, match="cut short or damaged"):
        open_volume(path)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "bioio_czi" else find_spec(name))
    with pytest.raises(MissingDependencyError, match=r"No installed bioio reader takes a\.czi"):
        open_volume(path)


def test_a_reader_for_many_formats_is_used_as_it_is(path, image, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "bioio_czi" else find_spec(name))
    image.order, image.pixels = "TCZYXS", np.random.default_rng(6).integers(0, 255, (1, 1, 3, 8, 9, 3)).astype(np.uint8)
    assert np.array_equal(open_volume(path).stack(along="z").read(1), image.pixels[0, 0, 1])


@pytest.mark.skipif(
    importlib.util.find_spec("bioio_ome_tiff") is None,
    reason="needs bioio and bioio-ome-tiff; install them with the group test-formats",
)
def test_the_real_bioio(tmp_path):
    import tifffile

    metadata = {"axes": "TCZYX", "PhysicalSizeX": 0.25, "PhysicalSizeZ": 2.0, "Channel": {"Name": ["nuclei", "actin"]}}
    tifffile.imwrite(tmp_path / "a.ome.tif", PIXELS, metadata=metadata)
    volume = BioioReader().open(tmp_path / "a.ome.tif", OpenOptions())
    assert np.array_equal(volume.read(), PIXELS)
    assert volume.scale["z"] == 2.0
    assert volume.channel_names == ("nuclei", "actin")


@pytest.mark.skipif(
    importlib.util.find_spec("bioio_czi") is None or importlib.util.find_spec("pylibCZIrw") is None,
    reason="needs bioio-czi and pylibCZIrw; install them with the group test-formats",
)
def test_a_real_czi_file(tmp_path):
    from pylibCZIrw import czi

    with czi.create_czi(str(tmp_path / "a.czi")) as file:
        for place in np.ndindex(PIXELS.shape[:3]):
            file.write(data=PIXELS[place][..., None], plane=dict(zip("TCZ", map(int, place), strict=True)))
        names = {0: "nuclei", 1: "actin"}
        file.write_metadata("document", channel_names=names, scale_x=0.25e-6, scale_y=0.5e-6, scale_z=2e-6)
    with open_volume(tmp_path / "a.czi") as volume:
        assert volume.sizes == {"t": 2, "c": 2, "z": 3, "y": 16, "x": 20}
        assert volume.scale == pytest.approx({"z": 2.0, "y": 0.5, "x": 0.25})
        assert volume.channel_names == ("nuclei", "actin")
        assert volume.chunks == (1, 1, 1, 16, 20)
        assert np.array_equal(volume.read(), PIXELS)
        assert np.array_equal(volume.stack("z", at={"t": 1}, channels=["actin"]).read_raw(2)[..., 0], PIXELS[1, 1, 2])
    picture = np.random.default_rng(6).integers(0, 255, (16, 20, 3)).astype(np.uint8)
    with czi.create_czi(str(tmp_path / "colour.czi")) as file:
        file.write(data=np.ascontiguousarray(picture[..., ::-1]), plane={"C": 0})
        file.write_metadata("document", scale_x=0.25e-6, scale_y=0.5e-6)
    with open_volume(tmp_path / "colour.czi") as volume:
        assert volume.channel_names == ("red", "green", "blue")
        assert np.array_equal(volume.stack().read(0), picture)
    content = (tmp_path / "a.czi").read_bytes()
    (tmp_path / "cut.czi").write_bytes(content[: len(content) // 2])
    with pytest.raises(InvalidInputError, match=r"cut\.czi cannot be opened.*cut short or damaged"):
        open_volume(tmp_path / "cut.czi")


needs_lif = pytest.mark.skipif(
    importlib.util.find_spec("bioio_lif") is None,
    reason="needs bioio and bioio-lif; install them with the group test-formats",
)
needs_nd2 = pytest.mark.skipif(
    importlib.util.find_spec("bioio_nd2") is None,
    reason="needs bioio and bioio-nd2; install them with the group test-formats",
)
ALL_UNITS = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
LIF_STEPS = {"t": 60.0, "z": 2e-6, "y": 0.5e-6, "x": 0.25e-6}


@needs_lif
def test_a_real_lif_file(tmp_path):
    write_lif(tmp_path / "a.lif", [LifImage("stack", PIXELS, ("nuclei", "actin"), LIF_STEPS)])
    with open_volume(tmp_path / "a.lif") as volume:
        assert volume.sizes == {"t": 2, "c": 2, "z": 3, "y": 16, "x": 20}
        assert volume.scale == pytest.approx({"t": 60.0, "z": 2.0, "y": 0.5, "x": 0.25})
        assert volume.units == ALL_UNITS
        assert volume.channel_names == ("nuclei", "actin")
        assert volume.chunks == (1, 1, 1, 16, 20)
        assert volume.dtype == np.uint16
        assert np.array_equal(volume.read(), PIXELS)
        assert np.array_equal(volume.stack("z", at={"t": 1}, channels=["actin"]).read_raw(2)[..., 0], PIXELS[1, 1, 2])


@needs_lif
def test_several_images_of_a_real_lif_file(tmp_path):
    downwards = {**LIF_STEPS, "z": -2e-6}
    images = [
        LifImage("stack", PIXELS, ("nuclei", "actin"), LIF_STEPS),
        LifImage("downwards", PIXELS[:1, :1] + 1, ("Green",), downwards),
        LifImage("Position 1", PIXELS[:1, :1, :1] + 2, folder="Well A1"),
    ]
    write_lif(tmp_path / "a.lif", images)
    with pytest.raises(InvalidInputError, match=r"3 images: 'stack', 'downwards', 'Well A1/Position 1'\. Choose one"):
        open_volume(tmp_path / "a.lif")
    for series in ("downwards", 1):
        volume = open_volume(tmp_path / "a.lif", series=series)
        assert np.array_equal(volume.read(), PIXELS[:1, :1] + 1)
        assert volume.scale == pytest.approx({"z": 2.0, "y": 0.5, "x": 0.25})
        assert volume.channel_names == ("Green",)
    volume = open_volume(tmp_path / "a.lif", series="Well A1/Position 1")
    assert np.array_equal(volume.read(), PIXELS[:1, :1, :1] + 2)
    assert volume.scale == {}


@needs_lif
def test_one_plane_of_a_real_lif_file_is_read_alone(tmp_path):
    # the file ends in the midst of its last plane: what comes before can be read, since it is not read with that
    begins = write_lif(tmp_path / "a.lif", [LifImage("stack", PIXELS), LifImage("lost", PIXELS)])
    content = (tmp_path / "a.lif").read_bytes()
    (tmp_path / "cut.lif").write_bytes(content[:-1])
    volume = open_volume(tmp_path / "cut.lif", series="lost")
    plane = volume.read({"t": 1, "c": 1, "z": 1})
    assert np.array_equal(plane, PIXELS[1, 1, 1])
    with pytest.raises(InvalidInputError, match=r"cut\.lif cannot be read at t 1, c 1, z 2.*damaged"):
        volume.read({"t": 1, "c": 1, "z": 2})
    # all of the second image is lost
    (tmp_path / "cut.lif").write_bytes(content[: begins[1] - 8])
    assert np.array_equal(open_volume(tmp_path / "cut.lif", series="stack").read(), PIXELS)
    with pytest.raises(InvalidInputError, match=r"cut\.lif cannot be read at .*damaged"):
        open_volume(tmp_path / "cut.lif", series="lost").read({"t": 0})
    for length in (0, 5, 13, 500):
        (tmp_path / "cut.lif").write_bytes(content[:length])
        with pytest.raises(InvalidInputError, match=r"cut\.lif cannot be opened.*cut short or damaged"):
            open_volume(tmp_path / "cut.lif")


@needs_lif
def test_a_real_lif_file_in_colour_is_refused_in_plain_words(tmp_path):
    picture = np.random.default_rng(6).integers(0, 255, (1, 1, 1, 16, 20, 3)).astype(np.uint8)
    write_lif(tmp_path / "a.lif", [LifImage("colour", picture)])
    with pytest.raises(InvalidInputError, match=r"a\.lif is a LIF file, but the image in it cannot be read.*OME-TIFF"):
        open_volume(tmp_path / "a.lif")


@needs_nd2
def test_a_real_nd2_file(tmp_path):
    steps = {"t": 60.0, "z": 2.0, "yx": 0.25}
    write_nd2(tmp_path / "a.nd2", PIXELS[:, None], channels=("nuclei", "actin"), steps=steps)
    with open_volume(tmp_path / "a.nd2") as volume:
        assert volume.sizes == {"t": 2, "c": 2, "z": 3, "y": 16, "x": 20}
        assert volume.scale == pytest.approx({"t": 60.0, "z": 2.0, "y": 0.25, "x": 0.25})
        assert volume.units == ALL_UNITS
        assert volume.channel_names == ("nuclei", "actin")
        # the channels of a pixel lie side by side in the file
        assert volume.chunks == (1, 2, 1, 16, 20)
        assert volume.dtype == np.uint16
        assert np.array_equal(volume.read(), PIXELS)
        assert np.array_equal(volume.stack("z", at={"t": 1}, channels=["actin"]).read_raw(2)[..., 0], PIXELS[1, 1, 2])
    write_nd2(tmp_path / "plane.nd2", PIXELS[:1, None, :1, :1], channels=("nuclei",))
    with open_volume(tmp_path / "plane.nd2") as volume:
        assert volume.scale == {}
        assert np.array_equal(volume.read({"t": 0, "c": 0, "z": 0}), PIXELS[0, 0, 0])


@needs_nd2
def test_positions_of_a_real_nd2_file(tmp_path):
    pixels = np.stack([PIXELS, PIXELS + 1], axis=1)
    write_nd2(tmp_path / "a.nd2", pixels, channels=("nuclei", "actin"), positions=("A1", "B2"))
    with pytest.raises(InvalidInputError, match=r"a\.nd2 holds 2 images: 'A1', 'B2'\. Choose one"):
        open_volume(tmp_path / "a.nd2")
    for series in ("B2", 1):
        assert np.array_equal(open_volume(tmp_path / "a.nd2", series=series).read(), PIXELS + 1)


@needs_nd2
def test_a_real_nd2_file_in_colour(tmp_path):
    picture = np.random.default_rng(6).integers(0, 255, (3, 16, 20, 3)).astype(np.uint8)
    write_nd2(tmp_path / "a.nd2", picture[None, None, None, ..., ::-1], channels=("Brightfield",), steps={"z": 2.0})
    with open_volume(tmp_path / "a.nd2") as volume:
        assert volume.channel_names == ("red", "green", "blue")
        assert np.array_equal(volume.stack("z").read(1), picture[1])


@needs_nd2
@pytest.mark.parametrize("kept", [0, 2, 10, 5000, -41, -1])
def test_a_real_nd2_file_that_is_cut_short(tmp_path, kept):
    write_nd2(tmp_path / "a.nd2", PIXELS[:, None], channels=("nuclei", "actin"))
    content = (tmp_path / "a.nd2").read_bytes()
    (tmp_path / "cut.nd2").write_bytes(content[:kept])
    with pytest.raises(InvalidInputError, match=r"cut\.nd2 cannot be opened.*cut short or damaged"):
        open_volume(tmp_path / "cut.nd2")
