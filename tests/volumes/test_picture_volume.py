from __future__ import annotations

import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageOps

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.volumes import open_frames, open_volume

generator = np.random.default_rng(2)
RGB = generator.integers(0, 255, (12, 17, 3)).astype(np.uint8)
GREY = RGB[..., 0]


def saved(tmp_path, name, picture, **options):
    path = tmp_path / name
    picture.save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.ppm", "a.tga", "a.tif"])
def test_colour_pictures_are_exact(tmp_path, name):
    stack = open_frames(saved(tmp_path, name, Image.fromarray(RGB)))
    assert len(stack) == 1
    assert stack.frame_size == (12, 17)
    assert np.array_equal(stack.read(0), RGB)


def test_jpeg_and_webp(tmp_path):
    smooth = np.broadcast_to(np.linspace(0, 255, 64).astype(np.uint8)[:, None, None], (64, 64, 3))
    for name in ("a.jpg", "a.webp"):
        frame = open_frames(saved(tmp_path, name, Image.fromarray(smooth.copy()), quality=95)).read(0)
        assert np.abs(frame.astype(int) - smooth).mean() < 3


def test_grey_becomes_three_equal_channels(tmp_path):
    frame = open_frames(saved(tmp_path, "a.png", Image.fromarray(GREY))).read(0)
    assert np.array_equal(frame, np.repeat(GREY[..., None], 3, axis=2))


def test_alpha_is_dropped_not_blended(tmp_path):
    rgba = np.dstack([RGB, np.zeros((12, 17), np.uint8)])
    assert np.array_equal(open_frames(saved(tmp_path, "a.png", Image.fromarray(rgba))).read(0), RGB)
    grey_alpha = Image.merge("LA", [Image.fromarray(GREY), Image.new("L", (17, 12), 0)])
    assert np.array_equal(open_frames(saved(tmp_path, "b.png", grey_alpha)).read(0)[..., 1], GREY)


def test_palette_and_one_bit(tmp_path):
    palette = Image.fromarray(RGB).quantize(256)
    expected = np.asarray(palette.convert("RGB"))
    assert np.array_equal(open_frames(saved(tmp_path, "a.png", palette)).read(0), expected)
    one_bit = Image.fromarray(GREY > 128)
    assert np.array_equal(open_frames(saved(tmp_path, "b.png", one_bit)).read(0)[..., 0], (GREY > 128) * 255)


def test_sixteen_bit_png_is_scaled_by_percentiles(tmp_path):
    deep = generator.integers(1000, 3000, (20, 20)).astype(np.uint16)
    stack = open_frames(saved(tmp_path, "a.png", Image.fromarray(deep)))
    assert stack.dtype == np.uint16
    assert np.array_equal(stack.read_raw(0)[..., 0], deep)
    assert stack.contrast_limits is not None
    assert stack.contrast_limits.low == (np.percentile(deep, 1),)


@pytest.mark.parametrize("channel_count", [2, 3, 4])
@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
def test_sixteen_bits_of_colours_and_beside_alpha_are_kept(tmp_path, channel_count, orientation):
    deep = generator.integers(0, 2**16, (12, 17, channel_count)).astype(np.uint16)
    encoded = imagecodecs.png_encode(deep)
    if orientation is not None:
        tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
        chunk = b"eXIf" + tiff
        encoded = (
            encoded[:33] + struct.pack(">I", len(tiff)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + encoded[33:]
        )
    (tmp_path / "a.png").write_bytes(encoded)
    exif = Image.Exif()
    exif[0x0112] = orientation or 1
    numbers = Image.fromarray(np.arange(12 * 17, dtype=np.int32).reshape(12, 17))
    numbers.info["exif"] = exif.tobytes()
    places = np.asarray(ImageOps.exif_transpose(numbers))
    expected = deep.reshape(-1, channel_count)[places]
    expected = expected[..., 0] if channel_count == 2 else np.moveaxis(expected[..., :3], -1, 0)
    for source in (tmp_path / "a.png", encoded):
        with open_volume(source) as volume:
            assert volume.dtype == np.uint16
            assert np.array_equal(volume.read(), expected)
    (tmp_path / "b.png").write_bytes(encoded[: len(encoded) // 2])
    with pytest.raises(InvalidInputError, match="cut short or damaged"):
        open_volume(tmp_path / "b.png").read()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_camera_s_orientation_is_applied(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, "a.png", Image.fromarray(RGB), exif=exif)
    with Image.open(path) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture))
    stack = open_frames(path)
    assert stack.frame_size == expected.shape[:2]
    assert np.array_equal(stack.read(0), expected)


def test_bytes_and_pillow_pictures():
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "PNG")
    assert np.array_equal(open_frames(buffer.getvalue()).read(0), RGB)
    assert np.array_equal(open_frames(Image.fromarray(RGB)).read(0), RGB)
    assert np.array_equal(open_frames([Image.fromarray(RGB)] * 2).read(1), RGB)


def test_missing_foreign_and_cut_files(tmp_path):
    with pytest.raises(MissingFileError, match="no file"):
        open_frames(tmp_path / "none.png")
    foreign = tmp_path / "page.png"
    foreign.write_text("<html>not found</html>")
    with pytest.raises(InvalidInputError, match="not a picture"):
        open_frames(foreign)
    for name in ("cut.png", "cut.jpg"):
        path = saved(tmp_path, name, Image.fromarray(generator.integers(0, 255, (200, 200, 3)).astype(np.uint8)))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(InvalidInputError, match="cut short or damaged"):
            open_frames(path).read(0)
    other = tmp_path / "notes.xyz"
    other.write_text("hello")
    with pytest.raises(InvalidInputError, match="TIFF stack"):
        open_frames(other)


def test_pictures_are_volumes(tmp_path):
    path = saved(tmp_path, "a.png", Image.fromarray(RGB))
    volume = open_volume(path)
    assert (volume.axes, volume.shape, volume.channel_names) == ("cyx", (3, 12, 17), ("red", "green", "blue"))
    assert np.array_equal(volume.read({"c": 1, "y": slice(2, 5)}), RGB[2:5, :, 1])
    assert open_volume(saved(tmp_path, "b.png", Image.fromarray(GREY))).axes == "yx"
    for options in ({"level": 1}, {"series": 2}, {"axes": "yx"}):
        with pytest.raises(InvalidInputError):
            open_volume(path, **options)


def test_a_picture_that_changes_is_noticed(tmp_path):
    stack = open_frames(saved(tmp_path, "a.png", Image.fromarray(RGB)))
    saved(tmp_path, "a.png", Image.fromarray(RGB[:5]))
    with pytest.raises(InvalidInputError, match="changed since it was opened"):
        stack.read(0)
