"""Labels and measurements that other software reads."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from skimage.measure import regionprops

from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.export import export_labels, measure, write_measurements
from sam2_core.volumes import open_labels
from sam2_core.volumes.readers import open_volume

SHAPE = (3, 20, 30)
IMAGE = np.random.default_rng(0).integers(0, 4000, SHAPE).astype(np.uint16)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[AnnotationSession]:
    stack = open_volume(IMAGE, axes="zyx", scale={"z": 2.0, "y": 0.5, "x": 0.25}).stack("z")
    with AnnotationSession.create(stack, tmp_path / "session") as opened:
        labels = np.zeros(SHAPE, np.uint8)
        labels[0, 2:8, 3:9], labels[1, 3:8, 3:9], labels[1, 12:18, 20:29] = 1, 1, 2
        opened.import_labels(dict(enumerate(labels)), names={1: "left"})
        opened.mark_division(1, [2])
        opened.labels_drawn = labels  # type: ignore[attr-defined]
        yield opened


@pytest.mark.parametrize("name", ["a.tif", "a.zarr", "a.json", "a.zip", "01_RES"])
def test_labels_are_read_back(session: AnnotationSession, tmp_path: Path, name: str) -> None:
    assert list(export_labels(session, tmp_path / name)) == [0, 1, 2]

    with open_labels(tmp_path / name) as labels:
        found = np.stack([labels.read(frame) for frame in range(3)])
    assert np.array_equal(found, session.labels_drawn)  # type: ignore[attr-defined]


def test_parents_go_into_the_tracks(session: AnnotationSession, tmp_path: Path) -> None:
    list(export_labels(session, tmp_path / "01_RES"))

    lines = (tmp_path / "01_RES" / "res_track.txt").read_text().split("\n")
    assert lines[:2] == ["1 0 0 0", "2 0 0 1"], "a z-stack is one point in time"


def test_some_frames_only(session: AnnotationSession, tmp_path: Path) -> None:
    list(export_labels(session, tmp_path / "a.tif", frames=[1]))

    written = tifffile.imread(tmp_path / "a.tif")
    assert written[0].max() == 0
    assert written[1].max() == 2


def test_measurements_agree_with_scikit_image(session: AnnotationSession) -> None:
    drawn = session.labels_drawn  # type: ignore[attr-defined]
    found = {(one.object_id, one.frame): one for one in measure(session)}

    assert set(found) == {(1, 0), (1, 1), (2, 1)}
    for frame in range(2):
        for region in regionprops(drawn[frame], IMAGE[frame]):
            one = found[region.label, frame]
            assert one.area == region.area
            assert one.physical_area == pytest.approx(region.area * 0.5 * 0.25)
            assert (one.y, one.x) == pytest.approx(region.centroid)
            assert one.mean_intensity == pytest.approx(region.intensity_mean)


def test_a_table(session: AnnotationSession, tmp_path: Path) -> None:
    session.paint(1, 2, np.zeros(SHAPE[1:], bool))
    write_measurements(session, tmp_path / "table.csv")

    with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["object_id"], row["frame"], row["name"]) for row in rows][:2] == [
        ("1", "0", "left"),
        ("1", "1", "left"),
    ]
    assert rows[-1]["area"] == "0"
    assert rows[-1]["mean_intensity"] == ""
    assert rows[0]["predicted_iou"] == ""
