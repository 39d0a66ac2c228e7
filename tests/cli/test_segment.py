from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from sam2_core.cli.app import main
from tests.cli.test_app import run
from tests.cli.test_object_table import rows_of


def test_a_picture(capsys, tmp_path, picture, untrained):
    result = tmp_path / "result"
    code, out, err = run(
        capsys, "segment", picture, "-p", "10,12", "-p", "11,13:0", "-b", "20,10,40,30", "-o", result, "-c", untrained
    )
    assert code == 0, err
    assert "labels.tif" in out
    with tifffile.TiffFile(result / "labels.tif") as file:
        assert file.series[0].axes == "YX"
        labels = file.asarray()
    assert labels.shape == (40, 50)
    assert labels.dtype == np.uint16
    assert set(np.unique(labels)) <= {0, 1, 2}
    rows = rows_of(result / "objects.csv")
    assert [row["id"] for row in rows] == ["1", "2"]
    assert [int(row["area"]) for row in rows] == [(labels == 1).sum(), (labels == 2).sum()]
    assert Image.open(result / "overlay.png").size == (650, 520)
    assert sorted(path.name for path in result.iterdir()) == ["labels.tif", "objects.csv", "overlay.png"]


def test_a_frame_of_a_stack(capsys, tmp_path, stack, untrained):
    for number, arguments in enumerate((["-p", "2:10,12"], ["-p", "10,12", "--frame", "2"])):
        code, _, err = run(capsys, "segment", stack, *arguments, "-o", tmp_path / str(number), "-c", untrained)
        assert code == 0, err
    first, second = (tifffile.imread(tmp_path / str(number) / "labels.tif") for number in (0, 1))
    assert np.array_equal(first, second)


def test_the_command_can_be_called_from_a_program(tmp_path, picture, untrained, capsys):
    assert main.__doc__
    code, _, _ = run(capsys, "segment", picture, "-p", "1,1", "-c", untrained, "-o", tmp_path / "a" / "b")
    assert code == 0
    assert (tmp_path / "a" / "b" / "labels.tif").exists()


@pytest.mark.parametrize("kind", ["mask", "point", "box"])
def test_objects_of_a_label_image(capsys, tmp_path, picture, untrained, kind):
    labels = np.zeros((40, 50), np.uint16)
    labels[5:15, 5:20] = 9
    labels[20:35, 30:45] = 300
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    arguments = ["--prompts-from-labels", tmp_path / "labels.tif", "--label-prompts", kind]
    code, _, err = run(capsys, "segment", picture, *arguments, "-o", tmp_path / "result", "-c", untrained)
    assert code == 0, err
    assert [row["id"] for row in rows_of(tmp_path / "result" / "objects.csv")] == ["9", "300"]


def test_a_frame_is_encoded_once_for_all_commands(capsys, tmp_path, stack, untrained, encoded):
    labels = []
    for number, options in enumerate([[], [], ["--no-embeddings"]]):
        result = tmp_path / str(number)
        code, _, err = run(
            capsys, "segment", stack, "-p", "2:10,12", "-b", "2:20,10,40,30", "-o", result, "-c", untrained, *options
        )
        assert code == 0, err
        labels.append(tifffile.imread(result / "labels.tif"))
    assert encoded == [1, 1]
    assert labels[0].any()
    assert np.array_equal(labels[0], labels[1])
    code, out, err = run(capsys, "embed", stack, "-c", untrained)
    assert code == 0, err
    assert "3 frames encoded, 1 were there" in out
    encoded.clear()
    code, _, err = run(capsys, "segment", stack, "-p", "0:10,12", "-o", tmp_path / "last", "-c", untrained)
    assert code == 0, err
    assert encoded == []


def test_tiles_are_encoded_once(capsys, tmp_path, untrained, encoded):
    pixels = np.random.default_rng(0).integers(0, 255, (150, 210)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "plane.tif", pixels)
    labels = []
    for number in range(2):
        result = tmp_path / str(number)
        code, _, err = run(
            capsys, "segment", tmp_path / "plane.tif", "-p", "10,12", "-p", "180,120", "-o", result, "-c", untrained
        )
        assert code == 0, err
        labels.append(tifffile.imread(result / "labels.tif"))
        if number == 0:
            assert len(encoded) >= 2
            encoded.clear()
    assert encoded == []
    assert np.array_equal(labels[0], labels[1])
