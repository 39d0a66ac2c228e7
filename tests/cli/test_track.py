from __future__ import annotations

import av
import numpy as np
import pytest
import tifffile
from PIL import Image

from sam2_core.cli.merged_labels import MergedLabels
from sam2_core.cli.models import load_predictor
from sam2_core.cli.object_table import ObjectTable
from sam2_core.cli.prompts import parse_prompts
from sam2_core.cli.tracking import track_objects
from sam2_core.volumes import open_frames
from tests.cli.test_app import run
from tests.cli.test_object_table import rows_of


def test_a_stack(capsys, tmp_path, stack, untrained):
    result = tmp_path / "result"
    code, out, err = run(
        capsys, "track", stack, "-p", "1:10,12", "-b", "3:20,10,40,30", "-p", "7@0:5,5", "-o", result, "-c", untrained
    )
    assert code == 0, err
    assert "objects_by_frame.csv" in out
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


@pytest.mark.parametrize(
    ("direction", "frames"), [("forward", {2, 3}), ("backward", {0, 1, 2}), ("both", {0, 1, 2, 3})]
)
def test_directions(tmp_path, stack, untrained, direction, frames):
    predictor = load_predictor(str(untrained), "cpu", "fp32")
    with open_frames(stack) as opened, MergedLabels(tmp_path / "labels.tif", 4, (40, 50)) as labels:
        table = ObjectTable()
        track_objects(predictor, opened, parse_prompts(["2:10,12"]), labels, table, direction=direction)
        assert {frame for frame, _ in table._scores} == frames


def test_objects_do_not_change_each_other(tmp_path, stack, untrained):
    predictor = load_predictor(str(untrained), "cpu", "fp32")

    def scores(*points):
        with open_frames(stack) as opened, MergedLabels(tmp_path / "labels.tif", 4, (40, 50)) as labels:
            table = ObjectTable()
            track_objects(predictor, opened, parse_prompts(points), labels, table, show_progress=False)
            return table._scores

    alone = scores("1@2:10,12")
    together = scores("1@2:10,12", "2@2:30,30", "3@0:5,5")
    for key, value in alone.items():
        assert together[key] == pytest.approx(value, abs=1e-4)
