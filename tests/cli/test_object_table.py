from __future__ import annotations

import csv

import numpy as np
import pytest

from sam2_core.cli.object_table import ObjectTable


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_measures_and_scores(tmp_path):
    labels = np.zeros((3, 20, 30), np.uint16)
    labels[0, 2:5, 10:14] = 7
    labels[2, 4:6, 12:20] = 7
    labels[2, 10:20, 0:3] = 300
    table = ObjectTable()
    table.score(0, [7, 9], [0.5, 0.3], [1.0, 0.1])
    table.score(0, [7], [0.8], [0.9])
    table.score(2, [7], [0.6], [0.7])
    assert table.scores(0) == pytest.approx({7: pytest.approx((0.8, 0.9)), 9: pytest.approx((0.3, 0.1))})
    for index, frame in enumerate(labels):
        table.measure(index, frame)
    table.write_objects(tmp_path / "objects.csv", [7, 9, 300])
    table.write_frames(tmp_path / "frames.csv")
    seven, nine, many = rows_of(tmp_path / "objects.csv")
    assert seven == {
        "id": "7",
        "frames": "2",
        "first_frame": "0",
        "last_frame": "2",
        "area": "28",
        "predicted_iou": "0.7000",
        "object_score": "0.8000",
        "x0": "10",
        "y0": "2",
        "x1": "20",
        "y1": "6",
    }
    assert (nine["area"], nine["frames"], nine["x0"]) == ("0", "0", "")
    assert (many["area"], many["predicted_iou"], many["y1"]) == ("30", "", "20")
    assert [(row["id"], row["frame"], row["area"]) for row in rows_of(tmp_path / "frames.csv")] == [
        ("7", "0", "12"),
        ("7", "2", "16"),
        ("300", "2", "30"),
    ]
