"""A session over z-stacks over time: every frame is a slice at a time, and tracking goes along either axis."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from skimage.measure import regionprops

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.export import export_labels, write_measurements
from sam2_core.session.label_import import import_label_file
from sam2_core.session.lineage import Lineage, write_trackmate
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.session.review import ReviewQueue
from sam2_core.session.track_import import import_track_file
from sam2_core.volumes import open_labels, open_volume
from tests.session.job_scene import PATIENCE, predictor
from tests.session.worker.test_volume_carrying import DEPTH, SIDE, drawn

TIMES = 3
SCALE = {"t": 20.0, "z": 2.0, "y": 0.5, "x": 0.25}
LABELS = drawn(TIMES)
IMAGES = (LABELS * 90 + 20).astype(np.uint8)


def volume() -> Any:
    return open_volume(IMAGES, axes="tzyx", scale=SCALE)


def in_order_of_ids(labels: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Frames with their labels, one with both objects first, so that objects get their labels as ids."""
    return sorted(enumerate(labels), key=lambda item: -len(np.unique(item[1])))


@pytest.fixture
def session(tmp_path: Path) -> Iterator[AnnotationSession]:
    with AnnotationSession.create(volume().stack("tz"), tmp_path / "session") as opened:
        yield opened


@pytest.fixture
def labelled(session: AnnotationSession) -> AnnotationSession:
    session.import_labels(in_order_of_ids(LABELS.reshape(-1, SIDE, SIDE)), names={1: "drifting"})
    return session


#: Few slices of the volume, where a network tracks: the cell is on all of them at the first two times.
FEW = slice(4, 8)
FEW_DEPTH = 4


def few() -> Any:
    return open_volume(IMAGES[:, FEW], axes="tzyx", scale=SCALE)


@pytest.fixture
def tracking() -> Iterator[AnnotationSession]:
    with AnnotationSession.create(few().stack("tz"), model=predictor()) as opened:
        yield opened


def mask_at(time: int, place: int) -> Any:
    """The drifting cell on one of the few slices."""
    return LABELS[time, FEW][place] == 1


def fill(session: AnnotationSession, time: int) -> int:
    """An object with the masks of the drifting cell at a time, one of them locked."""
    cell = session.add_object()
    for place in range(FEW_DEPTH):
        if mask_at(time, place).any():
            session.paint(cell.id, session.frame_at(t=time, z=place), mask_at(time, place), lock=place == 1)
    return cell.id


def times_of(session: AnnotationSession, frames: Any) -> set[int]:
    return {session.position(frame)["t"] for frame in frames}


# frames and places


def test_frames_have_places(session: AnnotationSession) -> None:
    assert session.frame_count == TIMES * DEPTH
    assert session.frame_at(t=1, z=4) == DEPTH + 4
    assert session.position(DEPTH + 4) == {"t": 1, "z": 4}
    with pytest.raises(InvalidInputError, match="t and z"):
        session.frame_at(z=4)


def test_a_session_over_one_axis_has_places_too() -> None:
    with AnnotationSession.create(volume().stack("z", {"t": 1})) as one:
        assert one.grid is None
        assert one.frame_at(z=4) == 4
        assert one.position(4) == {"z": 4}
        with pytest.raises(InvalidInputError, match="position on z"):
            one.frame_at(t=0)


# the folder


def about(folder: Path) -> dict[str, str]:
    with sqlite3.connect(folder / "session.db") as database:
        return dict(database.execute("SELECT name, value FROM about"))


def test_it_is_opened_again_and_only_with_the_same_axes(session: AnnotationSession) -> None:
    cell = session.add_object()
    session.paint(cell.id, session.frame_at(t=2, z=1), LABELS[0, 5] == 1)
    session.close()

    assert about(session.folder)["format"] == "2"
    assert json.loads(about(session.folder)["stack"])["sizes"] == [TIMES, DEPTH]
    with AnnotationSession.open(session.folder, volume().stack("tz")) as again:
        assert again.masked_frames(cell.id) == [2 * DEPTH + 1]
    turned = open_volume(IMAGES.swapaxes(0, 1), axes="tzyx").stack("tz")
    with pytest.raises(InvalidInputError, match=r"sizes \[3, 12\] then and \[12, 3\] now"):
        AnnotationSession.open(session.folder, turned)


def test_a_session_over_one_axis_is_written_as_before(tmp_path: Path) -> None:
    with AnnotationSession.create(volume().stack("z", {"t": 1}), tmp_path / "one") as one:
        name = one.stack.name
    assert about(tmp_path / "one") == {
        "format": "1",
        "stack": json.dumps({"name": name, "axis": "z", "frames": DEPTH, "height": SIDE, "width": SIDE}),
    }


# tracking along one axis


def test_tracking_stays_at_its_time_or_slice(tracking: AnnotationSession) -> None:
    cell = fill(tracking, 1)
    here = tracking.frame_at(t=1, z=1)

    assert times_of(tracking, tracking.propagate([cell], start=here)) == {1}
    found = list(tracking.propagate([cell], start=here, along="t"))
    assert sorted(found) == [tracking.frame_at(t=time, z=1) for time in range(TIMES)]


def test_along_z_it_is_what_a_session_at_that_time_finds(tracking: AnnotationSession) -> None:
    def work(session: AnnotationSession, frame: int) -> list[Any]:
        cell = session.add_object()
        session.add_points(cell.id, frame, (7, 7))
        session.segment(cell.id, frame)
        list(session.propagate([cell.id]))
        # a correction, in the light of what was found
        session.add_points(cell.id, frame + 2, (12, 12), [0])
        session.segment(cell.id, frame + 2)
        records = session.records(cell.id)
        return [(session.mask(cell.id, one), records[one].predicted_iou) for one in sorted(records)]

    with AnnotationSession.create(few().stack("z", {"t": 1}), model=predictor()) as one:
        expected = work(one, 1)
    for (mask, iou), (other, other_iou) in zip(work(tracking, FEW_DEPTH + 1), expected, strict=True):
        assert np.array_equal(mask, other)
        assert iou == other_iou


def test_where_to_begin_must_be_clear(tracking: AnnotationSession) -> None:
    cell = fill(tracking, 0)
    assert times_of(tracking, tracking.propagate([cell], count=1, propagator="forward")) == {0}

    tracking.paint(cell, tracking.frame_at(t=2, z=3), mask_at(2, 3))
    with pytest.raises(InvalidInputError, match="t = 0, 2"):
        tracking.propagate([cell])
    with pytest.raises(StateError, match="on one of these frames"):
        tracking.propagate([cell], start=tracking.frame_at(t=1, z=0))
    with pytest.raises(InvalidInputError, match="'y'"):
        tracking.propagate([cell], start=0, along="y")


def test_a_stack_along_one_axis_has_one_way() -> None:
    with AnnotationSession.create(few().stack("z", {"t": 1}), model=predictor()) as one:
        with pytest.raises(InvalidInputError, match="along z"):
            one.propagate(along="t")
        with pytest.raises(InvalidInputError, match="along t and z"):
            one.carry()


# carrying


def test_carrying_is_one_step_and_keeps_what_a_person_did(tracking: AnnotationSession) -> None:
    cell = fill(tracking, 0)
    mine = tracking.frame_at(t=1, z=2)
    tracking.paint(cell, mine, mask_at(1, 2), lock=False)
    before = tracking.records(cell)
    steps = len(tracking.history)

    frames = list(tracking.carry([cell], time=0, count=1))
    assert times_of(tracking, frames) == {1}
    after = tracking.records(cell)
    assert {frame: after[frame] for frame in before} == before, "painted masks stay"
    assert len(after) > len(before)
    assert [step.label for step in tracking.history[steps:]] == ["carry an object over time"]

    tracking.undo()
    assert tracking.records(cell) == before
    tracking.redo()
    assert tracking.records(cell) == after


def test_carrying_again_takes_back_what_is_not_there_any_more(tracking: AnnotationSession) -> None:
    cell = tracking.add_object().id
    tracking.paint(cell, tracking.frame_at(t=1, z=0), mask_at(1, 0))
    stale = tracking.frame_at(t=0, z=3)
    step = tracking.begin_results("an earlier one")
    tracking.add_results(step, stale, {cell: (MaskPixels.cut(mask_at(0, 1)), 0.9, 5.0)}, "track")
    tracking.finish_results(step)

    frames = list(tracking.carry([cell], time=1, direction="backward", growth=0))
    assert times_of(tracking, frames) == {0}
    assert all(tracking.record(cell, frame) is not None for frame in frames), "nothing came where there is no mask"
    record = tracking.record(cell, stale)
    assert record is not None
    assert record.area == 0
    assert tracking.record(cell, tracking.frame_at(t=0, z=1)) is None, "nothing to take back there"


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"time": 1}, StateError, "no mask at t = 1"),
        ({"time": 9}, InvalidInputError, "0 to 2"),
        ({"direction": "both"}, InvalidInputError, "both"),
        ({"direction": "backward"}, InvalidInputError, "first time"),
        ({"count": 0}, InvalidInputError, "at least 1"),
        ({"agreement": 2.0}, InvalidInputError, "agreement"),
        ({"speed": 2.0}, InvalidInputError, "speed"),
    ],
)
def test_what_cannot_be_carried(
    tracking: AnnotationSession, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    cell = fill(tracking, 0)
    with pytest.raises(error, match=words):
        tracking.carry([cell], **options)
    assert tracking.jobs.active == []


def test_from_when_to_carry_must_be_clear(tracking: AnnotationSession) -> None:
    with pytest.raises(StateError, match="No object has a mask"):
        tracking.carry()
    cell = fill(tracking, 0)
    tracking.paint(cell, tracking.frame_at(t=2, z=0), mask_at(0, 0))
    with pytest.raises(InvalidInputError, match=r"masks at t = 0, 2; say .* time=…"):
        tracking.carry([cell])


def test_in_a_process_of_its_own() -> None:
    with AnnotationSession.create(few().stack("tz"), model=predictor(), worker="process") as session:
        cell = fill(session, 0)
        job = session.start_carry([cell], time=0, count=1)
        assert times_of(session, job.wait(PATIENCE)) == {1}
        assert (job.kind, job.state, job.done) == ("carry", "done", job.total)
        along_t = session.start_propagate([cell], start=session.frame_at(t=0, z=1), along="t", count=2)
        assert len(along_t.wait(PATIENCE)) == 2


def test_a_carrying_that_is_cancelled_leaves_what_came(tracking: AnnotationSession) -> None:
    cell = tracking.add_object().id
    tracking.paint(cell, 0, mask_at(0, 0))
    for frame in tracking.carry([cell], time=0, reconciles=False):
        if tracking.position(frame)["t"] == 1:
            break
    assert times_of(tracking, tracking.masked_frames(cell)) == {0, 1}
    assert tracking.jobs[-1].state == "cancelled"
    tracking.undo()
    assert tracking.masked_frames(cell) == [0]


# looking at it


def test_the_review_compares_slices_of_one_time(labelled: AnnotationSession) -> None:
    grown = np.zeros((SIDE, SIDE), bool)
    grown[:20, :20] = True
    tiny = np.zeros((SIDE, SIDE), bool)
    tiny[22:, 22:] = True
    cell = labelled.add_object()
    step = labelled.begin_results("track")
    for place, mask in ((DEPTH - 1, grown), (DEPTH, tiny)):
        labelled.add_results(step, place, {cell.id: (MaskPixels.cut(mask), 0.9, 5.0)}, "track")
    labelled.finish_results(step)

    found = [one for one in ReviewQueue(labelled).ranked() if one.object_id == cell.id]
    assert not any({"area jumps", "place jumps"} & set(one.reasons) for one in found)


# out and in


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.zarr", "01_RES"])
def test_labels_have_time_and_depth(labelled: AnnotationSession, tmp_path: Path, name: str) -> None:
    assert list(export_labels(labelled, tmp_path / name)) == list(range(TIMES * DEPTH))

    for time in range(TIMES):
        with open_labels(tmp_path / name, axis="z", at={"t": time}) as labels:
            assert np.array_equal(np.stack([labels.read(place) for place in range(DEPTH)]), LABELS[time])
    with open_labels(tmp_path / name, axis="t", at={"z": 5}) as labels:
        assert np.array_equal(np.stack([labels.read(time) for time in range(TIMES)]), LABELS[:, 5])


def test_a_tiff_is_what_others_read(labelled: AnnotationSession, tmp_path: Path) -> None:
    list(export_labels(labelled, tmp_path / "a.tif"))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.series[0].axes == "TZYX"
        assert np.array_equal(file.asarray(), LABELS)
        assert file.imagej_metadata is not None
        assert (file.imagej_metadata["spacing"], file.imagej_metadata["finterval"]) == (2.0, 20.0)


def test_an_ome_zarr_has_axes_and_scale(labelled: AnnotationSession, tmp_path: Path) -> None:
    list(export_labels(labelled, tmp_path / "a.zarr"))

    with open_volume(str(tmp_path / "a.zarr")) as found:
        assert found.axes == "tzyx"
        assert found.scale == SCALE
        assert np.array_equal(found.read(), LABELS)


def test_a_table_of_tracks_counts_times(labelled: AnnotationSession, tmp_path: Path) -> None:
    list(export_labels(labelled, tmp_path / "01_RES"))

    assert (tmp_path / "01_RES" / "res_track.txt").read_text().splitlines() == ["1 0 2 0", "2 0 2 0"]
    with pytest.raises(FileExistsError):
        list(export_labels(labelled, tmp_path / "01_RES"))
    list(export_labels(labelled, tmp_path / "01_RES", overwrite=True, frames=[DEPTH + 5]))
    found = [tifffile.imread(tmp_path / "01_RES" / f"mask00{time}.tif").max() for time in range(TIMES)]
    assert found == [0, 2, 0]


def image_store(path: Path) -> Path:
    """An OME-Zarr image with axes t, z, y, x."""
    group = zarr.create_group(path)
    group.create_array("0", data=IMAGES, chunks=(1, 1, SIDE, SIDE))
    axes = [{"name": name, "type": "time" if name == "t" else "space"} for name in "tzyx"]
    steps = [{"type": "scale", "scale": [20.0, 2.0, 0.5, 0.25]}]
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}],
    }
    return path


def test_labels_of_one_time_go_to_their_place_in_the_image(tmp_path: Path) -> None:
    store = image_store(tmp_path / "image.zarr")
    with AnnotationSession.create(open_volume(str(store)).stack("z", {"t": 1})) as one:
        one.import_labels(in_order_of_ids(LABELS[1]))
        list(export_labels(one, store / "labels" / "cells"))

    written = zarr.open_array(store / "labels" / "cells" / "0", mode="r")[:]
    assert np.array_equal(written[1], LABELS[1])
    assert not written[[0, 2]].any()


def test_labels_of_all_times_go_into_the_image(labelled: AnnotationSession, tmp_path: Path) -> None:
    store = image_store(tmp_path / "image.zarr")
    list(export_labels(labelled, store / "labels" / "cells"))

    assert np.array_equal(zarr.open_array(store / "labels" / "cells" / "0", mode="r")[:], LABELS)
    with open_labels(store / "labels" / "cells", axis="z", at={"t": 2}) as labels:
        assert labels.written == frozenset(range(DEPTH))
    shutil.rmtree(store)


def test_a_table_of_masks_says_where_they_are(labelled: AnnotationSession, tmp_path: Path) -> None:
    write_measurements(labelled, tmp_path / "masks.csv", intensity=False)
    with (tmp_path / "masks.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            assert labelled.frame_at(t=int(row["t"]), z=int(row["z"])) == int(row["frame"])


@pytest.mark.parametrize("name", ["a.tif", "a.zarr", "01_RES", "a.json"])
def test_labels_come_back(labelled: AnnotationSession, tmp_path: Path, name: str) -> None:
    list(export_labels(labelled, tmp_path / name))

    with AnnotationSession.create(volume().stack("tz")) as again:
        ids = import_label_file(again, tmp_path / name)
        for frame in range(again.frame_count):
            known = {ids[label]: LABELS.reshape(-1, SIDE, SIDE)[frame] == label for label in ids}
            assert all(np.array_equal(again.mask(one, frame), mask) for one, mask in known.items())


def test_labels_of_another_size_are_refused(labelled: AnnotationSession, tmp_path: Path) -> None:
    list(export_labels(labelled, tmp_path / "a.tif"))

    with AnnotationSession.create(few().stack("tz")) as other:
        with pytest.raises(InvalidInputError, match="12 frames"):
            import_label_file(other, tmp_path / "a.tif")
        assert other.objects == []
        assert other.history == []


def test_lineage_goes_from_volume_to_volume(labelled: AnnotationSession, tmp_path: Path) -> None:
    daughter = labelled.add_object("daughter")
    for place in range(DEPTH):
        labelled.delete_masks(1, [labelled.frame_at(t=2, z=place)])
        labelled.paint(daughter.id, labelled.frame_at(t=2, z=place), LABELS[2, place] == 1)
    labelled.mark_division(1, [daughter.id])
    lineage = Lineage.of(labelled)

    where = {number: (one.object_id, one.frame) for number, one in lineage.nodes.items()}
    edges = {(where[source], where[target]) for source, target in lineage.edges}
    assert edges == {((1, 0), (1, 1)), ((1, 1), (daughter.id, 2)), ((2, 0), (2, 1)), ((2, 1), (2, 2))}
    write_trackmate(labelled, tmp_path / "tracks.xml")
    spots = ElementTree.parse(tmp_path / "tracks.xml").findall(".//Spot")
    (first,) = [one for one in spots if (one.get("name"), one.get("FRAME")) == ("drifting", "0")]
    (region,) = [one for one in regionprops(LABELS[0]) if one.label == 1]
    assert float(first.get("POSITION_Z", "")) == pytest.approx(region.centroid[0] * 2.0)
    assert {float(one.get("POSITION_T", "")) for one in spots} == {0.0, 20.0, 40.0}


def square(row: int, column: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[row : row + 3, column : column + 3] = True
    return mask


def test_parts_are_split_where_neither_axis_joins_them(session: AnnotationSession) -> None:
    """Nothing is next to the last slice of a time but the one before, and the same one at other times."""
    one = session.add_object()
    last, first_of_next = session.frame_at(t=0, z=DEPTH - 1), session.frame_at(t=1, z=0)
    session.paint(one.id, last, square(0, 0))
    session.paint(one.id, first_of_next, square(0, 0))
    assert len(session.split_object(one.id)) == 2

    other = session.add_object()
    for place, mask in (((0, 2), square(8, 8)), ((1, 2), square(9, 9)), ((1, 3), square(10, 10))):
        session.paint(other.id, session.frame_at(t=place[0], z=place[1]), mask)
    assert session.split_object(other.id) == [other]
    session.paint(other.id, session.frame_at(t=2, z=3), square(0, 0))
    assert len(session.split_object(other.id)) == 2


def test_masks_are_interpolated_along_one_axis(session: AnnotationSession) -> None:
    one = session.add_object()
    start = session.frame_at(t=0, z=2)
    over_time, deeper = session.frame_at(t=2, z=2), session.frame_at(t=0, z=5)
    for frame, mask in ((start, square(2, 2)), (over_time, square(4, 6)), (deeper, square(8, 5))):
        session.paint(one.id, frame, mask)

    assert session.interpolate(one.id, start, over_time) == [session.frame_at(t=1, z=2)]
    assert np.array_equal(session.mask(one.id, session.frame_at(t=1, z=2)), square(3, 4))
    assert session.interpolate(one.id, start, deeper) == [session.frame_at(t=0, z=3), session.frame_at(t=0, z=4)]
    assert np.array_equal(session.mask(one.id, session.frame_at(t=0, z=4)), square(6, 4))
    with pytest.raises(InvalidInputError, match=r"t = 0, z = 5 and .* t = 2, z = 2"):
        session.interpolate(one.id, deeper, over_time)


def test_tracks_of_frames_are_refused(labelled: AnnotationSession, tmp_path: Path) -> None:
    write_trackmate(labelled, tmp_path / "cells.xml")
    before = labelled.objects

    with pytest.raises(InvalidInputError, match="along t and z"):
        import_track_file(labelled, tmp_path / "cells.xml")

    assert labelled.objects == before


def test_the_other_order_of_the_axes_has_no_tracks(tmp_path: Path) -> None:
    with AnnotationSession.create(volume().stack("zt"), tmp_path / "other") as session:
        session.paint(session.add_object().id, 0, square(0, 0))
        for name in ("a.xml", "a.geff"):
            with pytest.raises(InvalidInputError, match='"tz"'):
                session.start_export(tmp_path / name).wait()
    assert not list(tmp_path.glob("a.*"))
