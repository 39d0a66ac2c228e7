from __future__ import annotations

import numpy as np
import pytest
import tifffile

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels import convert_labels, open_label_writer, open_labels
from tests.volumes.labels.random_labels import painted_stack


def moving():
    """Object 1 divides into 2 and 3 after frame 1; object 4 is away on frame 2."""
    labels = np.zeros((4, 6, 9), np.uint16)
    labels[:2, 1, 1:4] = 1
    labels[2:, 0, 1:4] = 2
    labels[2:, 2, 1:4] = 3
    labels[[0, 1, 3], 5, 5] = 4
    return labels


def write_all(path, labels, **options):
    options = {"axis": "t", "metadata": {"parents": {2: 1, 3: 1, 4: 99}}, **options}
    with open_label_writer(path, length=len(labels), frame_size=labels.shape[1:], **options) as writer:
        for index, frame in enumerate(labels):
            writer.write(index, frame)


@pytest.mark.parametrize(
    ("folder", "stem", "table"), [("01_RES", "mask", "res_track.txt"), ("01_GT/TRA", "man_track", "man_track.txt")]
)
def test_the_layout_of_the_challenge(tmp_path, folder, stem, table):
    write_all(tmp_path / folder, moving())
    names = sorted(path.name for path in (tmp_path / folder).iterdir())
    assert names == sorted([*(f"{stem}{number:03d}.tif" for number in range(4)), table, "label_stack.json"])
    for number, frame in enumerate(moving()):
        pixels = tifffile.imread(tmp_path / folder / f"{stem}{number:03d}.tif")
        assert pixels.dtype == np.uint16
        assert np.array_equal(pixels, frame)
    # a parent that is nowhere is left out
    assert (tmp_path / folder / table).read_text().split("\n") == ["1 0 1 0", "2 2 3 1", "3 2 3 1", "4 0 3 0", ""]
    with open_labels(tmp_path / folder) as stack:
        assert stack.axis == "t"
        assert np.array_equal(np.stack(list(stack)), moving())


def test_z_stacks_over_time(tmp_path):
    folder = tmp_path / "01_RES"
    volumes = [painted_stack(ids=ids, seed=seed) for seed, ids in enumerate([(1, 2), (2, 5), (5, 9)])]
    for number in (1, 0, 2):
        write_all(folder, volumes[number], axis="z", at={"t": number}, metadata={"parents": {9: 2}})
    assert sorted(path.name for path in folder.iterdir()) == [
        "mask000.tif",
        "mask001.tif",
        "mask002.tif",
        "res_track.txt",
    ]
    assert np.array_equal(tifffile.imread(folder / "mask001.tif"), volumes[1])
    assert (folder / "res_track.txt").read_text().split("\n") == ["1 0 0 0", "2 0 1 0", "5 1 2 0", "9 2 2 2", ""]
    with open_labels(folder, axis="z", at={"t": 2}) as stack:
        assert np.array_equal(np.stack(list(stack)), volumes[2])
    with open_labels(folder, axis="t", at={"z": 1}) as stack:
        assert np.array_equal(np.stack(list(stack)), np.stack([volume[1] for volume in volumes]))
    for wrong in ({}, {"axis": "z"}, {"at": {"t": 7}}, {"axis": "t", "at": {"z": 9}}):
        with pytest.raises(InvalidInputError, match="at="):
            open_labels(folder, **wrong)
    # an object that goes from its last time point
    write_all(folder, volumes[2] * (volumes[2] != 5), axis="z", at={"t": 2}, overwrite=True, metadata={})
    assert (folder / "res_track.txt").read_text().split("\n") == ["1 0 0 0", "2 0 1 0", "5 1 1 0", "9 2 2 2", ""]


@pytest.mark.parametrize(("folder", "table"), [("01_RES", "res_track.txt"), ("01_GT/TRA", "man_track.txt")])
def test_an_edited_table_says_who_divided(tmp_path, folder, table):
    """Not the description beside it, which says what was once written; the rest of which stays."""
    write_all(tmp_path / folder, moving(), metadata={"parents": {2: 1, 3: 1}, "model": "tiny"})
    with open_labels(tmp_path / folder) as stack:
        assert stack.metadata == {"parents": {2: 1, 3: 1}, "model": "tiny"}
    (tmp_path / folder / table).write_text("1 0 1 0\n2 2 3 1\n3 2 3 0\n4 0 3 0\n")
    with open_labels(tmp_path / folder) as stack:
        assert stack.metadata == {"parents": {2: 1}, "model": "tiny"}
        again = tmp_path / "02_RES"
        convert_labels(stack, again)
    assert (again / "res_track.txt").read_text().split("\n")[:3] == ["1 0 1 0", "2 2 3 1", "3 2 3 0"]
    (tmp_path / folder / table).write_text("1 0 1 0\n2 2 3 0\n3 2 3 0\n4 0 3 0\n")
    with open_labels(tmp_path / folder) as stack:
        assert stack.metadata["parents"] == {}


def test_an_edited_table_of_z_stacks(tmp_path):
    folder = tmp_path / "01_RES"
    for number, ids in enumerate([(1, 2), (2, 5)]):
        write_all(folder, painted_stack(ids=ids), axis="z", at={"t": number}, metadata={"parents": {5: 1}})
    (folder / "res_track.txt").write_text("1 0 0 0\n2 0 1 0\n5 1 1 2\n")
    for how in ({"axis": "z", "at": {"t": 1}}, {"axis": "t", "at": {"z": 1}}):
        with open_labels(folder, **how) as stack:
            assert stack.metadata["parents"] == {5: 2}


def test_folders_of_other_programs(tmp_path):
    for number, frame in enumerate(moving()):
        tifffile.imwrite(tmp_path / f"man_track{number:04d}.tif", frame, compression="lzw")
    with open_labels(tmp_path) as stack:
        assert np.array_equal(np.stack(list(stack)), moving())
    (tmp_path / "man_track.txt").write_text("1 0 1 0\n1 2 3 0\n")
    with pytest.raises(InvalidInputError, match="object 1 is there twice"):
        open_labels(tmp_path)
    (tmp_path / "man_track.txt").unlink()
    (tmp_path / "man_track0002.tif").rename(tmp_path / "elsewhere.tif")
    with pytest.raises(InvalidInputError, match="lacks the mask of frame 2"):
        open_labels(tmp_path)
    (tmp_path / "man_track0000.tif").write_bytes(b"II*\0 half")
    with pytest.raises(InvalidInputError, match="not a readable TIFF"):
        open_labels(tmp_path)


@pytest.mark.parametrize("parents", [{1: 1}, {0: 1}, {"a": 1}, [1, 2]])
def test_parents_that_make_no_sense(tmp_path, parents):
    with pytest.raises(InvalidInputError, match="parents"):
        write_all(tmp_path / "01_RES", moving(), metadata={"parents": parents})
    assert list(tmp_path.iterdir()) == []


def test_wide_ids_are_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="uint16"):
        write_all(tmp_path / "01_RES", moving(), dtype="uint32")
