from __future__ import annotations

import av
import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.cli.test_app import run
from tests.cli.test_object_table import rows_of


def test_a_stack(capsys, tmp_path, stack, untrained):
    result = tmp_path / "result"
    code, out, err = run(
        capsys, "track", stack, "-p", "1:10,12", "-b", "3:20,10,40,30", "-p", "7@0:5,5", "-o", result, "-c", untrained
    )
    assert code == 0, err
    assert "objects_by_frame.csv" in out
    told = " ".join(err.split())
    assert "3 objects, 4 frames: about" in told
    # crops look at a picture for each object and frame, and this model's input is small already
    assert "(with" not in told
    with tifffile.TiffFile(result / "labels.tif") as file:
        assert file.series[0].axes == "TYX"
        labels = file.asarray()
    assert labels.shape == (4, 40, 50)
    assert set(np.unique(labels)) <= {0, 1, 2, 7}
    assert [row["id"] for row in rows_of(result / "objects.csv")] == ["1", "2", "7"]
    for row in rows_of(result / "objects_by_frame.csv"):
        assert int(row["area"]) == (labels[int(row["frame"])] == int(row["id"])).sum()
        assert 0 <= float(row["object_score"]) <= 1
    assert Image.open(result / "overlay.png").size[0] > 200


def test_folders_and_videos(capsys, tmp_path, untrained):
    frames = np.random.default_rng(0).integers(0, 255, (3, 32, 48, 3)).astype(np.uint8)
    (tmp_path / "frames").mkdir()
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / "frames" / f"{index}.png")
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    for source, axes in (("frames", "ZYX"), ("a.mp4", "TYX")):
        result = tmp_path / f"{source}_result"
        code, _, err = run(capsys, "track", tmp_path / source, "-p", "1:20,20", "-o", result, "-c", untrained)
        assert code == 0, err
        with tifffile.TiffFile(result / "labels.tif") as file:
            assert file.series[0].axes == axes
            assert file.series[0].shape == (3, 32, 48)


@pytest.fixture
def label_stack(tmp_path):
    labels = np.zeros((4, 40, 50), np.uint16)
    labels[1, 5:15, 5:20] = 9
    labels[2, 5:12, 5:20] = 9
    labels[2, 20:35, 30:45] = 300
    tifffile.imwrite(tmp_path / "cellpose.tif", labels, imagej=True, metadata={"axes": "ZYX"})
    return tmp_path / "cellpose.tif"


@pytest.mark.parametrize("kind", ["mask", "point", "box"])
def test_objects_of_a_label_image(capsys, tmp_path, stack, untrained, label_stack, kind):
    result = tmp_path / "result"
    arguments = ["--prompts-from-labels", label_stack, "--label-prompts", kind]
    code, _, err = run(capsys, "track", stack, *arguments, "-o", result, "-c", untrained, "--frames", "1:3")
    assert code == 0, err
    assert [row["id"] for row in rows_of(result / "objects.csv")] == ["9", "300"]
    found = tifffile.imread(result / "labels.tif")
    if kind == "mask":
        # a mask that was given is not changed by looking
        truth = tifffile.imread(label_stack)
        assert ((found[1] == 9) & (truth[1] == 9)).sum() / ((found[1] == 9) | (truth[1] == 9)).sum() > 0.8
    assert not found[0].any()
    assert not found[3].any()


def test_a_click_adds_to_an_object_of_the_labels(capsys, tmp_path, stack, untrained, label_stack):
    arguments = ["--prompts-from-labels", label_stack, "-p", "9@3:7,7", "-p", "1:40,30", "-o", tmp_path / "result"]
    code, _, err = run(capsys, "track", stack, *arguments, "-c", untrained)
    assert code == 0, err
    assert [row["id"] for row in rows_of(tmp_path / "result" / "objects.csv")] == ["1", "9", "300"]
    code, _, err = run(capsys, "track", stack, *arguments, "-p", "300@2:1,1", "-c", untrained)
    assert code == 2
    assert "300 is there twice on frame 2" in err


def test_everything_on_a_frame(capsys, tmp_path, stack, untrained):
    thresholds = ["--points-per-side", "2", "--min-iou", "0", "--min-stability", "0", "--max-area", "1"]
    code, _, err = run(
        capsys, "track", stack, "--everything", "2", *thresholds, "-o", tmp_path / "result", "-c", untrained
    )
    assert code == 0, err
    ids = [int(row["id"]) for row in rows_of(tmp_path / "result" / "objects.csv")]
    assert ids == list(range(1, len(ids) + 1)) != []
    none = ["--points-per-side", "2", "--min-iou", "2"]
    code, _, err = run(capsys, "track", stack, "--everything", "2", *none, "-o", tmp_path / "none", "-c", untrained)
    assert code == 2
    assert "Nothing was found on frame 2" in err


def test_a_table_of_prompts(capsys, tmp_path, stack, untrained):
    (tmp_path / "a.csv").write_text("id,t,x,y\n4,1,10,12\n8,3,30,30\n")
    arguments = ["--prompts", tmp_path / "a.csv", "-o", tmp_path / "result", "-c", untrained]
    code, _, err = run(capsys, "track", stack, *arguments)
    assert code == 0, err
    assert [row["id"] for row in rows_of(tmp_path / "result" / "objects.csv")] == ["4", "8"]
    (tmp_path / "a.csv").write_text("id,t,x,y\n4,1,10,12\n8,3,50,30\n")
    code, _, err = run(capsys, "track", stack, *arguments)
    assert code == 2
    assert "a.csv, line 3: 50,30 of object 8 is outside" in err
