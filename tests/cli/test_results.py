from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from sam2_core.cli.object_table import ObjectTable
from sam2_core.cli.plane_labels import DrawnLabels, ObjectScores
from sam2_core.cli.prompts import parse_prompts
from sam2_core.cli.results import Results
from sam2_core.errors import DestinationExistsError, InvalidInputError
from sam2_core.volumes import open_frames
from sam2_core.volumes.labels import open_labels
from tests.cli.test_object_table import rows_of


@pytest.mark.parametrize(
    ("output", "format", "labels", "folder", "found"),
    [
        ("result", None, "result/labels.tif", "result", "tiff"),
        ("result", "coco", "result/labels.json", "result", "coco"),
        ("result", "png", "result/labels", "result", "png"),
        ("result", "ctc", "result/01_RES", "result", "ctc"),
        ("cells.zarr", None, "cells.zarr", "cells.zarr.sam2", "ome-zarr"),
        ("cells.zip", "imagej-roi", "cells.zip", "cells.zip.sam2", "imagej-roi"),
        ("a/image.zarr/labels/cells", None, "a/image.zarr/labels/cells", "a/image.zarr.cells.sam2", "ome-zarr"),
        ("a/02_RES", None, "a/02_RES", "a/02_RES.sam2", "ctc"),
    ],
)
def test_where_results_go(tmp_path, output, format, labels, folder, found):
    results = Results.at(tmp_path / output, format)
    assert (results.labels, results.folder, results.format) == (tmp_path / labels, tmp_path / folder, found)


def test_what_contradicts_itself(tmp_path):
    with pytest.raises(InvalidInputError, match="means tiff"):
        Results.at(tmp_path / "a.tif", "coco")
    with pytest.raises(InvalidInputError, match=r"written to this machine.*sam2 convert"):
        Results.at(Path("s3://bucket/a.zarr"))
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError, match="is a file"):
        Results.at(tmp_path / "file")
    (tmp_path / "a.tif").write_text("somebody's")
    with pytest.raises(DestinationExistsError, match="--overwrite"):
        Results.at(tmp_path / "a.tif").require_free(overwrite=False)
    assert not (tmp_path / "a.tif.sam2").exists()


def test_a_plane_is_written_band_by_band(tmp_path, monkeypatch):
    """A plane that is drawn in bands of some rows is the same, measured the same, and reduced for its overlay."""
    labels = np.zeros((90, 70), np.int32)
    labels[10:50, 20:40] = 3
    labels[60:80, 5:65] = 200
    picture = np.random.default_rng(0).integers(0, 255, (90, 70)).astype(np.uint8)
    scores = [ObjectScores(3, 0.5, 0.75), ObjectScores(200, 0.25, 1.0)]
    whole = ObjectTable()
    whole.score(0, [3, 200], [0.5, 0.25], [0.75, 1.0])
    whole.measure(0, labels)
    monkeypatch.setattr("sam2_core.cli.plane_labels.BAND_PIXELS", 70 * 7)
    monkeypatch.setattr("sam2_core.cli.results.LARGEST_OVERLAY", 30)
    results = Results.at(tmp_path / "result")
    results.require_free(overwrite=False)
    with open_frames(picture) as stack:
        table = ObjectTable()
        prompts = parse_prompts(["3@30,30", "7@1,1"])
        results.write_plane(stack, 0, DrawnLabels(labels, scores), table, prompts)
    assert table.rows == whole.rows
    assert np.array_equal(tifffile.imread(results.labels), labels)
    assert [row["id"] for row in rows_of(results.objects)] == ["3", "7", "200"]
    with Image.open(results.overlay) as overlay:
        assert overlay.size[0] / overlay.size[1] == pytest.approx(24 / 30, abs=0.02)


def test_ids_decide_the_dtype(tmp_path):
    with open_frames(np.zeros((4, 5), np.uint8)) as stack:
        for largest, dtype in ((200, "uint8"), (300, "uint16")):
            results = Results.at(tmp_path / str(largest), "png")
            with results.open_writer(stack, largest_id=largest) as writer:
                assert writer.dtype == dtype
                writer.write(0, np.full((4, 5), largest))
            with open_labels(results.labels) as labels:
                assert labels.read(0).max() == largest
