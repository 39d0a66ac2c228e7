from __future__ import annotations

import numpy as np
import pytest
import tifffile

from sam2_core.cli.finding import Thresholds, find_everything
from sam2_core.cli.models import load_predictor
from sam2_core.volumes import open_frames
from tests.cli.test_app import run
from tests.cli.test_object_table import rows_of

LENIENT = ["--points-per-side", "2", "--min-iou", "0", "--min-stability", "0", "--max-area", "1"]


@pytest.mark.parametrize("size", [(40, 50), (100, 130)], ids=["whole", "in tiles"])
def test_largest_first(untrained, size):
    """Of a plane that is one tile and of one that is several."""
    model = load_predictor(str(untrained), "cpu", "fp32", quiet=True)
    pixels = np.random.default_rng(0).integers(0, 255, size).astype(np.uint8)
    with open_frames(pixels) as stack:
        found = find_everything(model, stack, 0, Thresholds(2, 0, 0, 0, 1.0))
        assert [one.object_id for one in found] == list(range(1, len(found) + 1)) != []
        assert [one.area for one in found] == sorted((one.mask.full.sum() for one in found), reverse=True)
        largest = found[0].area / (size[0] * size[1])
        fewer = find_everything(model, stack, 0, Thresholds(2, 0, 0, 0, largest * 0.999))
        assert len(fewer) < len(found)


def test_the_command(capsys, tmp_path, stack, untrained):
    result = tmp_path / "result"
    command = ["everything", stack, "--frame", "2", *LENIENT, "-c", untrained, "-o", result]
    code, out, err = run(capsys, *command)
    assert code == 0, err
    labels = tifffile.imread(result / "labels.tif")
    assert labels.shape == (40, 50)
    rows = rows_of(result / "objects.csv")
    assert f"{len(rows)} objects" in out
    assert all(0 <= float(row["object_score"]) <= 1 for row in rows)
    assert [int(row["area"]) for row in rows] == [(labels == int(row["id"])).sum() for row in rows]
    code, _, err = run(capsys, *command)
    assert (code, "exists already" in err.replace("\n", " ")) == (2, True)
    assert run(capsys, *command, "--overwrite")[0] == 0
    code, _, err = run(capsys, "everything", stack, "--frame", "9", "-o", tmp_path / "none")
    assert (code, "frames 0 to 3" in err) == (2, True)
    assert not (tmp_path / "none").exists()
