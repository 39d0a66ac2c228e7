from __future__ import annotations

import fsspec
import numpy as np
import pytest
import tifffile

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.volumes import open_frames, open_volume

generator = np.random.default_rng(3)
STACK = generator.integers(0, 3000, (6, 16, 21)).astype(np.uint16)


def written(tmp_path, array, name="a.tif", **options):
    path = tmp_path / name
    tifffile.imwrite(path, array, **options)
    return path


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        {"imagej": True, "metadata": {"axes": "TYX"}},
        {"compression": "zlib"},
        {"compression": "lzw", "predictor": True},
        {"tile": (16, 16)},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"rowsperstrip": 3},
        {"ome": True, "metadata": {"axes": "ZYX"}},
        {"ome": True, "metadata": {"axes": "TYX"}, "compression": "zlib"},
    ],
)
def test_stacks_of_every_layout(tmp_path, options):
    path = written(tmp_path, STACK, **options)
    axes = options.get("metadata", {}).get("axes", "QYX")
    with open_frames(path) as stack:
        assert (len(stack), stack.frame_size, stack.channel_count) == (6, (16, 21), 1)
        assert stack.axis == {"Z": "z", "T": "t"}.get(axes[0], "frame")
        for index in (5, 0, 3):
            raw = stack.read_raw(index)
            assert raw.dtype == np.uint16
            assert np.array_equal(raw[..., 0], STACK[index])
    assert len(open_frames(path.read_bytes())) == 6
    assert np.array_equal(open_frames(path.read_bytes()).read_raw(2)[..., 0], STACK[2])


def test_pages_without_metadata_are_a_stack(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for plane in STACK:
            writer.write(plane, metadata=None, contiguous=False)
    stack = open_frames(tmp_path / "a.tif")
    assert len(stack) == 6
    assert np.array_equal(stack.read_raw(4)[..., 0], STACK[4])


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("axes", ["ZCYX", "CZYX", "TCYX"])
def test_channels_are_mixed(tmp_path, axes, compression):
    array = generator.integers(0, 2000, (2, 5, 16, 16) if axes == "CZYX" else (5, 2, 16, 16)).astype(np.uint16)
    path = written(tmp_path, array, "a.ome.tif", metadata={"axes": axes}, compression=compression)
    stack = open_frames(path)
    by_frame = array.swapaxes(0, 1) if axes == "CZYX" else array
    assert (len(stack), stack.channel_count) == (5, 2)
    assert np.array_equal(stack.read_raw(3), by_frame[3].transpose(1, 2, 0))
    frame = stack.read(3)
    assert frame[..., 0].any()
    assert frame[..., 1].any()
    assert not frame[..., 2].any()
    assert np.array_equal(open_frames(path, channels=(1,)).read_raw(3)[..., 0], by_frame[3, 1])
    assert np.array_equal(open_frames(path, channels=(1, 0)).read_raw(3), by_frame[3, ::-1].transpose(1, 2, 0))
    with pytest.raises(InvalidInputError, match="channels 0 to 1"):
        open_frames(path, channels=(2,))


def test_more_than_three_channels_have_to_be_chosen(tmp_path):
    path = written(tmp_path, np.zeros((5, 4, 16, 16), np.uint16), "a.ome.tif", metadata={"axes": "ZCYX"})
    with pytest.raises(InvalidInputError, match="at most three"):
        open_frames(path)
    assert open_frames(path, channels=(0, 3)).channel_count == 2


def test_time_and_depth_have_to_be_chosen(tmp_path):
    array = generator.integers(0, 255, (3, 5, 8, 9)).astype(np.uint8)
    path = written(tmp_path, array, imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(InvalidInputError, match=r"t \(3\), z \(5\)"):
        open_frames(path)
    along_z = open_frames(path, axis="z", at={"t": 2})
    assert (len(along_z), along_z.axis) == (5, "z")
    assert np.array_equal(along_z.read(4)[..., 0], array[2, 4])
    along_t = open_frames(path, at={"z": 1})
    assert (len(along_t), along_t.axis) == (3, "t")
    assert np.array_equal(along_t.read(0)[..., 0], array[0, 1])
    for options in ({"axis": "q"}, {"axis": "z", "at": {"t": 3}}, {"at": {"q": 0}}, {"axis": "z"}):
        with pytest.raises(InvalidInputError):
            open_frames(path, **options)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colour_pages(tmp_path, planar):
    array = generator.integers(0, 255, (4, 10, 11, 3)).astype(np.uint8)
    stored = array if planar == "contig" else array.transpose(0, 3, 1, 2)
    path = written(tmp_path, stored, photometric="rgb", planarconfig=planar)
    stack = open_frames(path)
    assert len(stack) == 4
    assert np.array_equal(stack.read(2), array[2])


@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize("compression", [None, "lzw"])
def test_few_slices_that_tifffile_took_for_colours(tmp_path, count, compression):
    array = np.random.default_rng(count).integers(0, 4000, (count, 10, 11)).astype(np.uint16)
    path = written(tmp_path, array, photometric="rgb", planarconfig="separate", compression=compression)
    assert len(open_frames(path)) == 1

    with open_volume(path, axes="zyx") as volume:
        assert (volume.axes, volume.shape) == ("zyx", array.shape)
        assert np.array_equal(volume.read(), array)
        assert np.array_equal(volume.read({"z": 1, "y": slice(2, 7), "x": slice(3, 9)}), array[1, 2:7, 3:9])
        assert (len(volume.stack()), volume.stack().axis) == (count, "z")
    with open_volume(path, axes="cyx") as volume:
        assert np.array_equal(volume.read(), array)
    with pytest.raises(InvalidInputError, match="names 4"):
        open_volume(path, axes="tzyx")


def test_colours_of_a_pixel_are_no_axis(tmp_path):
    path = written(tmp_path, np.zeros((10, 11, 3), np.uint8), photometric="rgb")
    with pytest.raises(InvalidInputError, match="has 2 dimensions, but axes='zyx' names 3"):
        open_volume(path, axes="zyx")


def test_deep_colour_shares_its_limits(tmp_path):
    array = generator.integers(0, 4000, (10, 11, 3)).astype(np.uint16)
    stack = open_frames(written(tmp_path, array, photometric="rgb"))
    assert stack.contrast_limits is not None
    assert len(stack.contrast_limits.low) == 1


def test_alpha_is_dropped(tmp_path):
    array = generator.integers(0, 255, (10, 11, 4)).astype(np.uint8)
    path = written(tmp_path, array, photometric="rgb", extrasamples=["unassalpha"])
    assert np.array_equal(open_frames(path).read(0), array[..., :3])


def test_palette_one_bit_and_inverted(tmp_path):
    colormap = generator.integers(0, 65535, (3, 256)).astype(np.uint16)
    indices = generator.integers(0, 255, (9, 8)).astype(np.uint8)
    path = written(tmp_path, indices, "p.tif", photometric="palette", colormap=colormap)
    assert np.array_equal(open_frames(path).read(0), (colormap >> 8).astype(np.uint8).T[indices])
    bits = generator.random((9, 8)) > 0.5
    path = written(tmp_path, bits, "b.tif", photometric="minisblack")
    assert np.array_equal(open_frames(path).read(0)[..., 0], bits * 255)
    path = written(tmp_path, indices, "i.tif", photometric="miniswhite")
    assert np.array_equal(open_frames(path).read(0)[..., 0], 255 - indices)


def test_floats_and_signed(tmp_path):
    for dtype in (np.float32, np.float64, np.int16, np.uint32):
        array = generator.integers(0, 1000, (3, 9, 9)).astype(dtype)
        stack = open_frames(written(tmp_path, array, f"{np.dtype(dtype)}.tif", photometric="minisblack"))
        assert stack.read(1).max() == 255
        assert np.array_equal(stack.read_raw(1)[..., 0], array[1])


def test_pages_are_read_one_at_a_time(tmp_path):
    path = written(tmp_path, STACK, compression="zlib")
    stack = open_frames(path)
    calls = []
    read_page = stack.volume._read_page
    stack.volume._read_page = lambda number, inner: calls.append(number) or read_page(number, inner)
    stack.read_raw(3)
    assert calls == [3]


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("options", [{}, {"imagej": True}, {"compression": "zlib"}, {"ome": True}])
def test_cut_files_are_refused(tmp_path, options, part):
    path = written(tmp_path, generator.integers(0, 3000, (12, 64, 48)).astype(np.uint16), **options)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(InvalidInputError, match=r"cut short|not a readable TIFF|damaged"):
        list(open_frames(path))


def test_single_strip_cut_inside_its_pixels(tmp_path):
    path = written(tmp_path, STACK[0])
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InvalidInputError, match="cut short"):
        open_frames(path)


def test_pages_of_differing_size_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(STACK[0], metadata=None)
        writer.write(STACK[0, :8], metadata=None)
    with pytest.raises(InvalidInputError, match="differ in size"):
        open_frames(tmp_path / "a.tif")


def test_missing_foreign_and_unsuited_files(tmp_path):
    with pytest.raises(MissingFileError):
        open_frames(tmp_path / "none.tif")
    (tmp_path / "page.tif").write_text("<html></html>")
    with pytest.raises(InvalidInputError, match="not a readable TIFF"):
        open_frames(tmp_path / "page.tif")
    path = written(tmp_path, np.zeros((5, 5, 4), np.uint8), photometric="separated")
    with pytest.raises(InvalidInputError, match="CMYK"):
        open_frames(path)


def test_names_that_do_not_end_in_tif_are_recognised(tmp_path):
    path = written(tmp_path, STACK, "a.tif")
    path.rename(tmp_path / "a.dat")
    assert len(open_frames(tmp_path / "a.dat")) == 6


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib", "rowsperstrip": 5},
        {"compression": "zlib", "tile": (16, 32)},
        {"tile": (16, 16)},
        {"compression": "jpeg", "compressionargs": {"level": 100}, "tile": (16, 16)},
        {"compression": "lzw", "predictor": True, "bigtiff": True},
    ],
)
@pytest.mark.parametrize("colour", [False, True])
def test_any_region_of_any_layout(tmp_path, options, colour):
    shape = (3, 50, 70, 3) if colour else (3, 50, 70)
    smooth = np.add.outer(np.arange(50), np.arange(70)) + 20 * np.arange(3)[:, None, None]
    pixels = np.broadcast_to(smooth[..., None], shape) if colour else smooth
    pixels = pixels.astype(np.uint8 if options.get("compression") == "jpeg" else np.uint16)
    path = written(tmp_path, pixels, photometric="rgb" if colour else "minisblack", **options)
    if options.get("compression") == "jpeg":
        pixels = tifffile.imread(path)
    with open_volume(path, axes="zyx") as volume:
        assert volume.axes == ("czyx" if colour else "zyx")
        expected = pixels.transpose(3, 0, 1, 2) if colour else pixels
        for index in [{}, {"z": 1}, {"y": slice(7, 33), "x": slice(15, 50)}, {"z": slice(1, 3), "y": 49, "x": 69}]:
            picked = tuple(index.get(axis, slice(None)) for axis in volume.axes)
            assert np.array_equal(volume.read(index), expected[picked])
        if colour:
            assert np.array_equal(volume.read({"z": 2, "c": slice(1, 3), "x": 3}), expected[1:3, 2, :, 3])


def test_a_window_decodes_only_its_tiles(tmp_path, monkeypatch):
    pixels = generator.integers(0, 3000, (2, 256, 256)).astype(np.uint16)
    path = written(tmp_path, pixels, compression="zlib", tile=(32, 32))
    stack = open_frames(path, contrast=(0, 3000))
    wanted = []
    handle = stack.volume._file.filehandle
    read_segments = type(handle).read_segments

    def counted(self, offsets, counts, /, indices=None, **options):
        wanted.extend(indices)
        return read_segments(self, offsets, counts, indices=indices, **options)

    monkeypatch.setattr(type(handle), "read_segments", counted)
    window = stack.read_window(1, slice(40, 60), slice(100, 120))
    assert np.array_equal(window, stack.read(1)[40:60, 100:120])
    assert wanted[:1] == [8 + 3]
    assert len(wanted) == 1 + 64


def test_scale_and_units_of_ome(tmp_path):
    metadata = {
        "axes": "TCZYX",
        "PhysicalSizeX": 0.25,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 250.0,
        "PhysicalSizeYUnit": "nm",
        "PhysicalSizeZ": 1.5,
        "TimeIncrement": 12.0,
        "TimeIncrementUnit": "min",
        "Channel": {"Name": ["nuclei", "actin"]},
    }
    pixels = generator.integers(0, 255, (2, 2, 3, 16, 16)).astype(np.uint8)
    with open_volume(written(tmp_path, pixels, "a.ome.tif", metadata=metadata)) as volume:
        assert volume.scale == {"t": 12.0, "z": 1.5, "y": 250.0, "x": 0.25}
        assert volume.units == {"t": "minute", "z": "micrometer", "y": "nanometer", "x": "micrometer"}
        assert volume.channel_names == ("nuclei", "actin")
        stack = volume.stack(along="z", at={"t": 1}, channels=["actin"])
        assert np.array_equal(stack.read_raw(2)[..., 0], pixels[1, 1, 2])
    chosen = open_volume(tmp_path / "a.ome.tif", channels=["actin"])
    assert (chosen.sizes["c"], chosen.channel_names) == (1, ("actin",))
    assert np.array_equal(chosen.read({"t": 0, "c": 0, "z": 1}), pixels[0, 1, 1])


def test_scale_and_units_of_imagej(tmp_path):
    metadata = {"axes": "TZYX", "spacing": 2.0, "unit": "micron", "finterval": 30.0}
    path = written(tmp_path, np.zeros((2, 3, 16, 16), np.uint8), imagej=True, resolution=(4.0, 2.0), metadata=metadata)
    volume = open_volume(path, scale={"z": 2.5})
    assert volume.scale == {"t": 30.0, "z": 2.5, "y": 0.5, "x": 0.25}
    assert volume.units == {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
    assert volume.stack(along="z", at={"t": 0}).spacing == (2.5, 0.5, 0.25)
    assert volume.stack(along="x", plane="zy", at={"t": 0}).spacing == (0.25, 2.5, 0.5)
    # dots per inch of a plain TIFF are no physical size
    assert open_volume(written(tmp_path, STACK[0], "b.tif", resolution=(72, 72))).scale == {}


def test_levels_of_a_pyramid(tmp_path):
    pixels = generator.integers(0, 255, (128, 192)).astype(np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as writer:
        metadata = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
        writer.write(pixels, subifds=1, tile=(32, 32), metadata=metadata)
        writer.write(pixels[::2, ::2], subfiletype=1, tile=(32, 32))
    volume = open_volume(tmp_path / "a.ome.tif", level=1)
    assert volume.levels == 2
    assert np.array_equal(volume.read(), pixels[::2, ::2])
    assert volume.scale == {"y": 1.0, "x": 1.0}
    with pytest.raises(InvalidInputError, match="levels 0 to 1"):
        open_volume(tmp_path / "a.ome.tif", level=2)


def test_several_images_in_one_file(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(STACK[0], metadata=None)
        writer.write(STACK[0, :8], metadata=None)
    assert open_volume(tmp_path / "a.tif", series=1).shape == (8, 21)
    with pytest.raises(InvalidInputError, match="images 0 to 1"):
        open_volume(tmp_path / "a.tif", series=2)


def test_axes_are_named_and_corrected(tmp_path):
    plain = written(tmp_path, STACK)
    with pytest.raises(InvalidInputError, match='axes="zyx", axes="tyx"'):
        open_volume(plain)
    assert open_volume(plain, axes="zyx").stack().axis == "z"
    swapped = written(tmp_path, STACK, "b.tif", imagej=True, metadata={"axes": "TYX"})
    assert open_volume(swapped, axes="zyx").axes == "zyx"
    shaped = written(tmp_path, np.zeros((2, 3, 16, 21), np.uint8), "c.tif", photometric="minisblack")
    with pytest.raises(InvalidInputError, match='axes="tzyx"'):
        open_frames(shaped)
    assert open_volume(shaped, axes="tzyx").sizes == {"t": 2, "z": 3, "y": 16, "x": 21}
    with pytest.raises(InvalidInputError, match="4 dimensions"):
        open_volume(shaped, axes="zyx")


def test_a_file_that_changes_underneath(tmp_path):
    for name, options in (("a.tif", {}), ("b.tif", {"compression": "zlib"})):
        path = written(tmp_path, STACK, name, **options)
        with open_frames(path, contrast=(0, 3000)) as stack:
            stack.read(0)
            content = path.read_bytes()
            path.write_bytes(content[: len(content) // 2])
            with pytest.raises(InvalidInputError, match="changed since it was opened"):
                stack.read(5)


def test_tiff_behind_a_url(tmp_path):
    path = written(tmp_path, STACK, imagej=True, metadata={"axes": "ZYX"}, compression="zlib")
    fsspec.filesystem("memory").put(str(path), "/tiffs/a.tif")
    with open_volume("memory://tiffs/a.tif") as volume:
        assert (volume.name, volume.address, volume.axes) == ("a.tif", "memory://tiffs/a.tif", "zyx")
        assert np.array_equal(volume.read({"z": 4}), STACK[4])


def test_frames_across_the_pages_decode_each_page_once(tmp_path):
    path = written(tmp_path, STACK, imagej=True, metadata={"axes": "ZYX"}, compression="zlib", rowsperstrip=16)
    with open_volume(path) as volume:
        calls = []
        read_page = volume._read_page
        volume._read_page = lambda number, inner: calls.append(number) or read_page(number, inner)
        with volume.stack(along="y", plane="zx", contrast=(0, 3000)) as stack:
            for index in range(16):
                assert np.array_equal(stack.read_raw(index)[..., 0], STACK[:, index])
    assert sorted(calls) == list(range(6))
