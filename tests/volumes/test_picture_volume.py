from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.volumes import open_frames
from sam2_core.volumes.folder_volume import natural_order

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


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_camera_s_orientation_is_applied(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, "a.png", Image.fromarray(RGB), exif=exif)
    with Image.open(path) as picture:
        from PIL import ImageOps

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


def test_a_folder_is_read_in_natural_order(tmp_path):
    for value, name in enumerate(["f1.png", "f2.png", "F10.png", "f11.png"]):
        saved(tmp_path, name, Image.new("L", (5, 4), value))
    (tmp_path / "notes.txt").write_text("not a frame")
    (tmp_path / ".hidden.png").write_text("not a frame")
    stack = open_frames(tmp_path)
    assert [int(frame[0, 0, 0]) for frame in stack] == [0, 1, 2, 3]


def test_natural_order_of_names(tmp_path):
    names = ["10.png", "9.png", "a10b2.png", "a10b10.png", "a2.png", "b.png", "1.png"]
    ordered = sorted((tmp_path / name for name in names), key=natural_order)
    assert [path.name for path in ordered] == ["1.png", "9.png", "10.png", "a2.png", "a10b2.png", "a10b10.png", "b.png"]


def test_a_folder_may_mix_formats_but_not_sizes(tmp_path):
    saved(tmp_path, "1.png", Image.fromarray(GREY))
    saved(tmp_path, "2.tif", Image.fromarray(GREY))
    assert len(open_frames(tmp_path)) == 2
    assert len(open_frames([tmp_path / "2.tif", tmp_path / "1.png"])) == 2
    saved(tmp_path, "3.png", Image.new("L", (5, 5)))
    with pytest.raises(InvalidInputError, match=r"3\.png is 5 x 5.*1\.png is 12 x 17"):
        open_frames(tmp_path)
    with pytest.raises(MissingFileError):
        open_frames([tmp_path / "1.png", tmp_path / "none.png"])


def test_a_frame_that_changes_size_far_into_the_folder_is_found_when_read(tmp_path):
    for index in range(200):
        saved(tmp_path, f"{index}.png", Image.new("L", (4, 4)))
    saved(tmp_path, "4.png", Image.new("L", (5, 4)))
    stack = open_frames(tmp_path)
    with pytest.raises(InvalidInputError, match=r"4\.png"):
        stack.read(4)


def test_empty_folder_and_stacks_in_a_folder(tmp_path):
    with pytest.raises(InvalidInputError, match="holds no pictures"):
        open_frames(tmp_path)
    import tifffile

    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((3, 4, 4), np.uint8), photometric="minisblack")
    with pytest.raises(InvalidInputError, match="holds 3 frames"):
        open_frames(tmp_path)
