from __future__ import annotations

import numpy as np
import pytest
import tifffile

from sam2_core.errors import InvalidInputError, InvalidTypeError, MissingFileError, PluginError
from sam2_core.hooks import Plugins, Selection, VolumeReader, hookimpl, using_plugins
from sam2_core.volumes import OpenOptions, Volume, open_frames, open_volume, readers
from sam2_core.volumes.array_volume import ArrayVolume

PIXELS = np.random.default_rng(1).integers(0, 255, (4, 8, 9)).astype(np.uint8)


def matches(source):
    return 3 if getattr(source, "suffix", "") == ".raw" else 0


def open_raw(source, options: OpenOptions) -> Volume:
    pixels = np.fromfile(source, np.uint8).reshape(4, 8, 9)
    return ArrayVolume(pixels, axes=options.axes or "zyx", name=source.name)


class RawPlugin:
    """What somebody might add for a format of their own."""

    def __init__(self, opens=open_raw):
        self.opens = opens

    @hookimpl
    def sam2_volume_readers(self):
        return [VolumeReader("raw", matches=matches, open=self.opens)]


@pytest.fixture
def plugins():
    loaded = Plugins(Selection(only_builtin=True), strict=True)
    loaded.load_installed()
    with using_plugins(loaded):
        yield loaded


def test_a_reader_of_one_s_own(tmp_path, plugins):
    path = tmp_path / "a.raw"
    PIXELS.tofile(path)
    with pytest.raises(InvalidInputError, match=r"a\.raw is not of a kind"):
        open_volume(path)
    plugins.register(RawPlugin())
    assert np.array_equal(open_volume(path).read(), PIXELS)
    assert open_volume(str(path), axes="tyx", scale={"t": 2.0}).scale == {"t": 2.0}
    assert open_frames(path).axis == "z"


def test_a_reader_that_fails_says_whose_it_is(tmp_path, plugins):
    (tmp_path / "a.raw").write_bytes(b"x")
    plugins.register(RawPlugin(), name="raw-plugin", distribution="raw-images", version="3.1")
    with pytest.raises(PluginError, match=r"volume reader 'raw' failed.*raw-images 3\.1.*cannot reshape"):
        open_volume(tmp_path / "a.raw")
    plugins.unregister("raw-plugin")
    plugins.register(RawPlugin(lambda source, options: "nonsense"), name="raw-plugin")
    with pytest.raises(PluginError, match="must open a Volume; it returned 'nonsense'"):
        open_volume(tmp_path / "a.raw")


def test_every_builtin_reader_has_a_name_and_refuses_nothing_at_all():
    names = [reader.name for reader in readers.READERS]
    assert len(set(names)) == len(names)
    assert [reader.matches(None) for reader in readers.READERS] == [0] * len(names)


def test_an_open_volume_is_returned_as_it_is():
    volume = open_volume(PIXELS, axes="zyx")
    assert open_volume(volume) is volume
    assert open_frames(volume).volume is volume


@pytest.mark.parametrize("scale", [{"z": 2.0, "x": 0.5}, (2.0, 1.0, 0.5)])
def test_scale_may_be_given(scale):
    volume = open_volume(PIXELS, axes="zyx", scale=scale)
    assert volume.scale["z"] == 2.0
    assert volume.scale["x"] == 0.5
    assert open_volume(PIXELS, axes="zyx", scale=[0.25]).scale == {"x": 0.25}


@pytest.mark.parametrize("scale", [{"t": 1.0}, {"z": 0.0}, {"z": -1.0}, {"z": float("nan")}, (1, 2, 3, 4), ()])
def test_scales_that_do_not_fit_are_refused(scale):
    with pytest.raises(InvalidInputError, match="scale"):
        open_volume(PIXELS, axes="zyx", scale=scale)


def test_channels_may_be_chosen():
    volume = open_volume(PIXELS, axes="cyx", channels=(3, 1))
    assert volume.sizes["c"] == 2
    assert volume.channel_names == ("3", "1")
    assert np.array_equal(volume.read(), PIXELS[[3, 1]])
    assert np.array_equal(volume.stack().read_raw(0), PIXELS[[3, 1]].transpose(1, 2, 0))
    for channels in [(4,), (), ("actin",)]:
        with pytest.raises(InvalidInputError, match="channels 0 to 3"):
            open_volume(PIXELS, axes="cyx", channels=channels)


def test_channels_of_an_image_without_any():
    assert open_volume(PIXELS, axes="zyx", channels=(0,)).axes == "zyx"
    with pytest.raises(InvalidInputError, match="channels 0 to 0"):
        open_volume(PIXELS, axes="zyx", channels=(1,))


def test_bytes_of_every_kind(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, imagej=True, metadata={"axes": "ZYX"})
    content = (tmp_path / "a.tif").read_bytes()
    for source in (content, bytearray(content), memoryview(content)):
        assert np.array_equal(open_volume(source).read(), PIXELS)
    with pytest.raises(InvalidInputError, match="not a video"):
        open_volume(b"nothing that anybody knows")


def test_what_is_not_there_and_what_is_nothing(tmp_path):
    with pytest.raises(MissingFileError, match="no file or folder"):
        open_volume(tmp_path / "none.tif")
    with pytest.raises(MissingFileError, match="no file or folder"):
        open_volume((tmp_path / "none.tif").as_uri())
    for nothing in (None, 3, object()):
        with pytest.raises(InvalidTypeError, match="Cannot read an image"):
            open_volume(nothing)
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(InvalidInputError, match=r"a\.txt is not of a kind"):
        open_volume(tmp_path / "a.txt")
