from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.volumes import open_frames, open_volume
from sam2_core.volumes.folder_volume import natural_order

generator = np.random.default_rng(2)
GREY = generator.integers(0, 255, (12, 17)).astype(np.uint8)


def saved(tmp_path, name, picture):
    path = tmp_path / name
    picture.save(path)
    return path


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
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((3, 4, 4), np.uint8), photometric="minisblack")
    with pytest.raises(InvalidInputError, match="holds 3 frames"):
        open_frames(tmp_path)


@pytest.fixture
def folder(tmp_path):
    for index in range(12):
        saved(tmp_path, f"f{index}.png", Image.fromarray(np.roll(GREY, index, axis=1)))
    return tmp_path


def test_axes_of_a_folder_have_to_be_named(folder):
    with pytest.raises(InvalidInputError, match=r'12 x 12 x 17.*axes="zyx", axes="tyx"'):
        open_volume(folder)
    for axes in ("z", "zyx", "c"):
        volume = open_volume(folder, axes=axes)
        assert volume.axes == axes[0] + "yx"
        assert volume.address == str(folder)
    volume = open_volume(folder, axes="z", scale={"z": 2.0})
    assert volume.stack().axis == "z"
    assert volume.stack().spacing == (2.0, 1.0, 1.0)
    for axes in ("zy", "czyx", "q", "y"):
        with pytest.raises(InvalidInputError, match="axes="):
            open_volume(folder, axes=axes)


def test_regions_and_planes_across_the_files(folder):
    volume = open_volume(folder, axes="tyx")
    whole = np.stack([np.roll(GREY, index, axis=1) for index in range(12)])
    assert np.array_equal(volume.read({"t": slice(3, 9), "y": 4, "x": slice(2, 8)}), whole[3:9, 4, 2:8])
    assert np.array_equal(volume.stack(along="y", plane="tx").read_raw(5)[..., 0], whole[:, 5])


def test_colour_files_are_frames_of_three_channels(tmp_path):
    pixels = generator.integers(0, 255, (3, 8, 9, 3)).astype(np.uint8)
    for index, picture in enumerate(pixels):
        tifffile.imwrite(tmp_path / f"{index}.tif", picture, photometric="rgb")
    volume = open_volume(tmp_path, axes="tyxc")
    assert volume.axes == "tcyx"
    assert np.array_equal(volume.read(), pixels.transpose(0, 3, 1, 2))
    assert np.array_equal(volume.stack().read(2), pixels[2])
    assert np.array_equal(volume.stack(channels=(1,)).read_raw(2)[..., 0], pixels[2, ..., 1])
    with pytest.raises(InvalidInputError, match='axes="zyxc", axes="tyxc"'):
        open_volume(tmp_path)


def test_a_file_that_changes_or_goes_is_noticed(folder):
    with open_frames(folder) as stack:
        stack.read(3)
        saved(folder, "f5.png", Image.new("L", (40, 40)))
        with pytest.raises(InvalidInputError, match=r"f5\.png"):
            stack.read(5)
        (folder / "f7.png").unlink()
        with pytest.raises(MissingFileError, match=r"f7\.png"):
            stack.read(7)
    (folder / "f5.png").unlink()
    with open_frames(folder, contrast=(0, 255)) as stack:
        (folder / "f0.png").write_bytes((folder / "f1.png").read_bytes() + b" ")
        with pytest.raises(InvalidInputError, match="changed since it was opened"):
            stack.read(0)
