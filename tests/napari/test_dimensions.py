"""Pictures, time-lapses and stacks over time, without a window: what is shown where."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from sam2_core.hooks import Drawn, PromptType, get_plugins
from sam2_core.session.worker.inference_worker import InferenceWorker
from tests.napari.hand import until
from tests.napari.scene import CELLS, cells, micro_model


@pytest.fixture(scope="module")
def dock(display: None, qapp: Any) -> Iterator[Any]:
    from napari.components import ViewerModel

    from sam2_napari.dock import AnnotateDock

    made = AnnotateDock(ViewerModel())
    made.start.model.addItem("loaded already", micro_model())
    made.start.model.setCurrentIndex(made.start.model.count() - 1)
    yield made
    made.deleteLater()


@pytest.fixture(autouse=True)
def _clean(dock: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import sam2_napari.start_panel as start_panel

    monkeypatch.setattr(start_panel, "setting", lambda group, name: "thread" if name == "worker" else "")
    yield
    dock.close_session()
    dock.viewer.layers.clear()


def started(dock: Any, image: np.ndarray, axes: str, along: str = "") -> Any:
    dock.viewer.add_image(image, name="image", axis_labels=tuple(axes))
    if along:
        dock.start.along.setCurrentIndex(dock.start.along.findData(along))
    dock.start.session.setCurrentIndex(0)
    dock.start.begin.click()
    until(lambda: dock.annotation is not None, why=lambda: dock.status.text())
    return dock.annotation


def click(annotation: Any, frame: int, x: float, y: float) -> None:
    point = get_plugins().find(PromptType, "point").contribution
    annotation.draw(point, Drawn("point", frame, True, np.array([[x, y]], np.float32)))


def test_a_picture(dock: Any) -> None:
    annotation = started(dock, cells(1)[0], "yx")
    click(annotation, 0, *CELLS[0])
    until(lambda: [row.is_here for row in annotation.rows] == [True], why=lambda: dock.status.text())

    np.testing.assert_array_equal(np.asarray(annotation.layer.data), annotation.session.labels(0))
    assert not dock.lineage.is_on


def test_divisions_in_a_time_lapse_show_as_tracks(dock: Any) -> None:
    annotation = started(dock, cells(), "tyx")
    session = annotation.session
    click(annotation, 0, *CELLS[0])
    until(lambda: [row.frames for row in annotation.rows] == [1], why=lambda: dock.status.text())
    annotation.mark_division()
    until(lambda: [row.parents for row in annotation.rows] == [(), (1,), (1,)])
    assert annotation.current == 2

    click(annotation, 1, CELLS[0][0] - 1, CELLS[0][1])
    until(lambda: annotation.row(2).frames == 1, why=lambda: dock.status.text())
    until(lambda: dock.lineage.layer is not None and len(dock.lineage.layer.data) == 2)
    tracks = dock.lineage.layer
    assert tracks.graph == {2: [1]}
    (_, _, y0, x0), (_, _, y1, x1) = tracks.data
    assert (x0, y0) == pytest.approx(CELLS[0], abs=4)
    assert (x1, y1) == pytest.approx((CELLS[0][0] - 1, CELLS[0][1]), abs=4)

    annotation.undo()
    annotation.undo()
    until(lambda: [row.id for row in annotation.rows] == [1])
    assert session.object(1).parents == ()


def test_track_links_are_edited_and_undone(dock: Any) -> None:
    annotation = started(dock, cells(), "tyx")
    session, table = annotation.session, dock.workspace.table

    def painted() -> None:
        for first, last in ((0, 2), (3, 5), (2, 5)):
            one = session.add_object()
            for frame in range(first, last + 1):
                session.paint(one.id, frame, cells()[frame] > 99)

    def parents() -> list[tuple[int, ...]]:
        return [row.parents for row in annotation.rows]

    annotation.work.do(painted)
    until(lambda: [row.frames for row in annotation.rows] == [3, 3, 4])
    assert table.link.isVisibleTo(table)
    table.link.click()
    assert "at least two objects" in dock.status.text()

    # the one that is there first is the parent
    table._select({1, 2})
    table.link.click()
    until(lambda: parents() == [(), (1,), ()], why=lambda: dock.status.text())
    until(lambda: "object 2 comes from object 1" in dock.status.text())
    assert table.model.data(table.model.index(1, 7)) == "object 1"
    until(lambda: dock.lineage.layer is not None and dock.lineage.layer.graph == {2: [1]})

    # of one that begins while its parent is still there the person is told
    table._select({1, 3})
    table.link.click()
    until(lambda: parents() == [(), (1,), (1,)])
    until(lambda: "still there on frame 2" in dock.status.text())

    # a link between two, and then what is left of one
    table._select({1, 2})
    table.unlink.click()
    until(lambda: parents() == [(), (), (1,)])
    table._select({3})
    table.unlink.click()
    until(lambda: parents() == [(), (), ()])
    until(lambda: dock.lineage.layer.graph == {})
    table.unlink.click()
    until(lambda: "no link to take away" in dock.status.text())

    for expected in ([(), (), (1,)], [(), (1,), (1,)], [(), (1,), ()], [(), (), ()]):
        annotation.undo()
        until(lambda expected=expected: parents() == expected)
    until(lambda: dock.lineage.layer.graph == {})


def test_links_are_not_offered_where_frames_are_no_times(dock: Any) -> None:
    annotation = started(dock, cells(2), "zyx")
    table = dock.workspace.table
    assert not table.link.isVisibleTo(table)
    assert table.view.isColumnHidden(7)
    annotation.undo()


@pytest.mark.parametrize("along", ["z", "t"])
def test_a_stack_over_time_is_worked_on_along_one_axis(dock: Any, along: str) -> None:
    image = np.stack([cells(3), cells(3)[::-1]])  # t, z, y, x
    dock.viewer.dims.set_point(0, 0)
    annotation = started(dock, image, "tzyx", along)
    dock.viewer.dims.set_point((0, 1), (1, 1))
    assert annotation.session.frame_count == (3 if along == "z" else 2)
    here = annotation.placement.at

    click(annotation, 1, CELLS[0][0], CELLS[0][1])
    until(lambda: [row.frames for row in annotation.rows] == [1], why=lambda: dock.status.text())

    labels = np.asarray(annotation.layer.data)
    assert labels.shape == image.shape
    place = (here["t"], 1) if along == "z" else (1, here["z"])
    np.testing.assert_array_equal(labels[place], annotation.session.labels(1))
    assert labels[place].any()
    labels[place] = 0
    assert not labels.any()


def film() -> np.ndarray:
    """Two cells in three times of three slices: (t, z, y, x)."""
    return np.stack([np.stack([one] * 3) for one in cells(3)])


def test_volumes_are_tracked_along_z_carried_over_time_and_compared(dock: Any) -> None:
    annotation = started(dock, film(), "tzyx", "tz")
    session, track = annotation.session, dock.workspace.propagation
    assert session.frame_count == 9
    dock.viewer.dims.set_point((0, 1), (0, 1))
    until(lambda: annotation.frame == 1)
    click(annotation, 1, *CELLS[0])
    until(lambda: [row.frames for row in annotation.rows] == [1], why=lambda: dock.status.text())
    assert np.asarray(annotation.layer.data)[0, 1, CELLS[0][1], CELLS[0][0]] == 1

    # nobody is asked from which of several first prompts
    assert not track.begin.isVisibleTo(track)

    # there is nothing before the first time
    track.carrying.direction.setCurrentIndex(1)
    track.carrying.start.click()
    until(lambda: "t = 0 is the first time" in dock.status.text(), why=lambda: dock.status.text())
    track.carrying.direction.setCurrentIndex(0)

    track.start.click()
    until(lambda: [row.frames for row in annotation.rows] == [3], why=lambda: dock.status.text())
    track.carrying.start.click()
    until(lambda: [row.frames for row in annotation.rows] == [9], why=lambda: dock.status.text())
    labels = np.asarray(annotation.layer.data)
    for time in range(3):
        assert (labels[time, :, CELLS[0][1], CELLS[0][0] - time] == 1).all()
        np.testing.assert_array_equal(labels[time, 2], session.labels(session.frame_at(t=time, z=2)))

    # a volume is one place at each time
    # the tracks are looked at once in a while, and may have been in the middle of the carrying
    middle = pytest.approx([1, 1, 1], abs=0.4)
    until(lambda: dock.lineage.layer is not None and dock.lineage.layer.data[:, 2].tolist() == middle)
    assert dock.lineage.layer.data[:, 1].tolist() == [0, 1, 2]

    review = dock.workspace.review
    annotation.go_to_frame(session.frame_at(t=0, z=1))
    until(lambda: annotation.frame == 1)
    review.compare.click()
    until(lambda: session.disagreements(1), why=lambda: dock.status.text())
    assert {session.position(frame)["t"] for frame in session.disagreements(1)} == {0}
    until(lambda: "come here" not in review.left.text())

    # this slice at other times, after all of that was taken back
    for _ in range(3):
        annotation.undo()
    until(lambda: [row.frames for row in annotation.rows] == [1])
    track.along.setCurrentIndex(track.along.findData("t"))
    track.start.click()
    until(lambda: [row.frames for row in annotation.rows] == [3], why=lambda: dock.status.text())
    assert [session.position(frame) for frame in session.masked_frames(1)] == [{"t": t, "z": 1} for t in range(3)]


def test_a_carry_is_stopped_and_labels_over_time_are_taken(dock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, real = threading.Event(), InferenceWorker._carry

    def held(*arguments: Any) -> Iterator[None]:
        gate.wait(120)
        yield from real(*arguments)

    monkeypatch.setattr(InferenceWorker, "_carry", held)
    annotation = started(dock, film(), "tzyx", "tz")
    labels = dock.viewer.add_labels((film() > 99).astype(np.uint8), name="cellpose")
    dock.workspace.everything.layers.setCurrentText("cellpose")
    dock.workspace.everything.take.click()
    until(lambda: [row.frames for row in annotation.rows] == [9], why=lambda: dock.status.text())
    np.testing.assert_array_equal(np.asarray(annotation.layer.data), labels.data)

    dock.workspace.propagation.carrying.start.click()
    rows = dock.workspace.jobs.rows
    until(lambda: any(row.label.text().startswith("carry") for row in rows.values()), why=lambda: dock.status.text())
    (job,) = (one for one in annotation.session.jobs if one.kind == "carry")
    annotation.cancel()
    until(lambda: job.state == "cancelled", why=lambda: dock.status.text())
    gate.set()
    until(lambda: job.id not in rows)
    assert len(annotation.session.masked_frames(1)) == 9


def test_only_sessions_of_the_frames_that_are_shown_are_continued(dock: Any) -> None:
    image = np.stack([cells(3), cells(3)[::-1]])  # t, z, y, x
    dock.viewer.dims.set_point(0, 0)
    annotation = started(dock, image, "tzyx", "z")
    first, folder = dict(annotation.placement.at), annotation.session.folder
    annotation.work.do(annotation.session.add_object)
    until(lambda: len(annotation.rows) == 1)
    dock.close_session()
    until(lambda: dock.start.session.currentData() == folder)

    dock.viewer.dims.set_point(0, 1 - first["t"])
    dock.start.begin.click()
    until(lambda: dock.annotation is not None, why=lambda: dock.status.text())
    assert dock.annotation.placement.at != first
    assert dock.annotation.session.folder != folder


def test_frames_of_another_plane(dock: Any) -> None:
    dock.viewer.add_image(cells(), name="image", axis_labels=("z", "y", "x"))
    dock.start.plane.setCurrentIndex(dock.start.plane.findData("zx"))
    assert dock.start.along.currentData() == "y"
    dock.start.session.setCurrentIndex(0)
    dock.start.begin.click()
    until(lambda: dock.annotation is not None, why=lambda: dock.status.text())
    annotation = dock.annotation
    mask = np.zeros(annotation.session.frame_size, bool)
    mask[2:4, 10:30] = True
    annotation.work.do(lambda: annotation.session.paint(annotation.session.add_object().id, 40, mask))
    until(lambda: len(annotation.rows) == 1)

    np.testing.assert_array_equal(np.asarray(annotation.layer.data)[:, 40, :] > 0, mask)
