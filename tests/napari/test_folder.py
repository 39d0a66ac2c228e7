"""A folder of images in a real viewer: from one to the next, done, left and gone on with."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton

from sam2_core.volumes import open_labels
from tests.napari.hand import Hand, until
from tests.napari.scene import CELLS, cells, micro_model, opened_dock

NAMES = ["cell1.tif", "cell2.tif", "cell10.tif"]


@pytest.fixture(scope="module")
def dock(viewer: Any) -> Any:
    return opened_dock(viewer, micro_model())


@pytest.fixture(autouse=True)
def _clean(viewer: Any, dock: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import sam2_napari.start_panel as start_panel

    monkeypatch.setattr(start_panel, "setting", lambda group, name: "thread" if name == "worker" else "")
    yield
    dock.folder_work.close()
    dock.close_session()
    viewer.layers.clear()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    place = tmp_path / "images"
    place.mkdir()
    for number, name in enumerate(NAMES):
        tifffile.imwrite(place / name, np.roll(cells(1)[0], 4 * number, 0))
    return place


@pytest.fixture
def hand(viewer: Any) -> Hand:
    return Hand(viewer)


def opened(dock: Any, images: Path, labels: str = "") -> None:
    """Choose a folder as a person does, without the dialogs of the system."""
    dock.folder.show_choice.click()
    dock.folder.set_images(str(images))
    if labels:
        dock.folder.labels.setText(labels)
    dock.folder.begin.click()


def is_shown(dock: Any, name: str) -> bool:
    current = dock.folder_work.current
    return dock.annotation is not None and current is not None and name == current.name in dock.annotation.image.name


def shown(dock: Any, name: str) -> None:
    until(lambda: is_shown(dock, name), why=lambda: f"{name}; {dock.status.text()}")


def listed(dock: Any) -> list[str]:
    """The states that the list shows."""
    return [dock.folder.view.item(row).toolTip().split(": ")[1] for row in range(dock.folder.view.count())]


def click_a_cell(dock: Any, hand: Hand, number: int) -> None:
    x, y = CELLS[0]
    until(lambda: dock.annotation.drawing.prompt_type is not None)
    hand.click(x, y + 4 * number)
    until(lambda: [row.is_here for row in dock.annotation.rows] == [True], why=lambda: dock.status.text())
    # the mask is there before its job has ended
    until(lambda: not dock.annotation.session.jobs.active)


def test_images_are_worked_through_with_keys(viewer: Any, dock: Any, images: Path, hand: Hand) -> None:
    opened(dock, images)
    for number, name in enumerate(NAMES):
        shown(dock, name)
        assert len([layer for layer in viewer.layers if name in layer.name and layer.name.endswith("tif")]) == 1
        click_a_cell(dock, hand, number)
        expected = dock.annotation.session.labels(0)
        until(lambda number=number: listed(dock)[number] == "in work")
        until(lambda: not dock.annotation.session.jobs.active)
        hand.key(Qt.Key.Key_Return, "Control")
        until(lambda name=name: not is_shown(dock, name), why=lambda: dock.status.text())
        with open_labels(images / f"{Path(name).stem}_labels.tif") as written:
            np.testing.assert_array_equal(written.read(0), expected)

    until(lambda: "All 3 images are done" in dock.status.text(), why=dock.status.text)
    until(lambda: listed(dock) == ["done"] * 3, why=lambda: f"{listed(dock)}; {dock.status.text()}")
    # nothing of the session that was closed follows it
    assert "All 3 images are done" in dock.status.text()
    assert "3 of 3 done" in dock.folder.title.text()


def test_a_folder_is_gone_on_with_where_it_was_left(viewer: Any, dock: Any, images: Path, hand: Hand) -> None:
    labels = images.parent / "results"
    opened(dock, images, str(labels))
    shown(dock, "cell1.tif")
    click_a_cell(dock, hand, 0)
    dock.folder.done.click()
    shown(dock, "cell2.tif")
    click_a_cell(dock, hand, 1)
    # left in the middle of an image; the next one was only looked at
    hand.key(Qt.Key.Key_PageDown)
    shown(dock, "cell10.tif")
    dock.close_session()
    dock.folder_work.close()
    viewer.layers.clear()
    assert not dock.folder.isVisible()

    # where the labels go is known of a folder that was open before
    opened(dock, images)
    shown(dock, "cell2.tif")
    until(lambda: listed(dock) == ["done", "in work", "not begun"], why=lambda: str(listed(dock)))
    assert dock.folder_work.work.labels == labels
    until(lambda: [row.frames for row in dock.annotation.rows] == [1])

    # what is done is passed over, but can be opened, and is done until something in it is changed
    hand.key(Qt.Key.Key_PageUp)
    shown(dock, "cell10.tif")
    dock.folder.view.itemDoubleClicked.emit(dock.folder.view.item(0))
    shown(dock, "cell1.tif")
    until(lambda: [row.frames for row in dock.annotation.rows] == [1])
    until(lambda: listed(dock)[0] == "done")
    dock.annotation.delete_objects([1])
    until(lambda: listed(dock)[0] == "in work")
    until(lambda: not dock.annotation.session.jobs.active)
    dock.folder.done.click()
    shown(dock, "cell2.tif")
    until(lambda: listed(dock)[0] == "done")
    assert not tifffile.imread(labels / "cell1_labels.tif").any()


def test_what_is_changed_while_labels_are_written_is_not_lost(
    dock: Any, images: Path, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(dock, images)
    shown(dock, "cell1.tif")
    click_a_cell(dock, hand, 0)
    session, may_end = dock.annotation.session, threading.Event()

    def work(progress: Any) -> None:
        may_end.wait(120)
        # the list of jobs was looked at just now, and comes to the end of this one a little later
        progress(1, 1)

    monkeypatch.setattr(session, "start_export", lambda *_, **__: session.runner.start_local("export", "writing", work))
    dock.folder.done.click()
    until(lambda: session.jobs.active)
    # neither is the image left while something goes on
    dock.folder.next.click()
    until(lambda: "before another image is opened: writing" in dock.status.text())
    dock.annotation.delete_objects([1])
    until(lambda: not session.objects)
    may_end.set()
    until(lambda: "was changed while" in dock.status.text(), why=dock.status.text)
    until(lambda: listed(dock)[0] == "in work")
    # it stays, and is not followed by word that the labels are written
    until(lambda: {job.id for job in session.jobs if job.kind == "export"} <= dock.workspace.jobs._told)
    until(lambda: not dock.annotation._jobs_soon._timer.isActive())
    assert "was changed while" in dock.status.text()
    assert is_shown(dock, "cell1.tif")

    monkeypatch.undo()
    dock.folder.done.click()
    shown(dock, "cell2.tif")
    assert not tifffile.imread(images / "cell1_labels.tif").any()


def test_a_dock_that_is_taken_away_lets_the_folder_go(viewer: Any, dock: Any, images: Path) -> None:
    opened(dock, images)
    shown(dock, "cell1.tif")
    around = dock.parent()
    assert "PageDown" in {str(key) for key in viewer.keymap}
    dock.setParent(None)
    assert "PageDown" not in {str(key) for key in viewer.keymap}
    assert dock.folder_work.work is None
    # a download would go on for nobody
    assert dock._is_given_up.is_set()
    around.setWidget(dock)
    dock.show()
    until(dock.isVisible)


def test_an_image_that_is_asked_for_while_another_is_opened(
    viewer: Any, dock: Any, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sam2_napari.dock as dock_module

    opened(dock, images)
    shown(dock, "cell1.tif")
    dock.close_session()
    opening, may_open, real, sessions = threading.Event(), threading.Event(), dock_module.open_session, []

    def slow(request: Any, report: Any) -> Any:
        opening.set()
        may_open.wait(120)
        sessions.append(real(request, report))
        return sessions[-1]

    monkeypatch.setattr(dock_module, "open_session", slow)
    other = viewer.add_image(cells(2), name="other")
    dock.start.image.setCurrentIndex(dock.start.image.findData(other))
    dock.start.session.setCurrentIndex(0)
    dock.start.begin.click()
    until(opening.is_set)
    dock.folder.view.itemDoubleClicked.emit(dock.folder.view.item(1))
    assert not dock.start.isEnabled()
    may_open.set()
    shown(dock, "cell2.tif")
    # the other one was closed, and its layers are gone
    assert len(dock._open_sessions) == 1
    assert [layer.name for layer in viewer.layers if layer.name.startswith("other")] == ["other"]


def test_labels_from_elsewhere_are_skipped_or_replaced_after_asking(
    dock: Any, images: Path, hand: Hand, viewer: Any
) -> None:
    place = images / "cell1_labels.tif"
    tifffile.imwrite(place, np.full(cells(1)[0].shape, 9, np.uint16))
    opened(dock, images)
    shown(dock, "cell2.tif")
    until(lambda: listed(dock) == ["done", "not begun", "not begun"])

    dock.folder.show_choice.click()
    dock.folder.skips.setChecked(False)
    dock.folder.begin.click()
    shown(dock, "cell1.tif")
    click_a_cell(dock, hand, 0)
    for answer in ("Cancel", "Replace"):
        dock.folder.done.click()
        until(lambda: dock.folder_work._question is not None)
        assert (tifffile.imread(place) == 9).all()
        question = dock.folder_work._question
        next(one for one in question.buttons() if one.text().replace("&", "") == answer).click()
    shown(dock, "cell2.tif")
    assert set(np.unique(tifffile.imread(place))) == {0, 1}


def test_an_image_that_cannot_be_opened_is_told_and_passed_by(dock: Any, images: Path, hand: Hand) -> None:
    (images / "cell1.tif").write_bytes(b"II*\0 this is no TIFF")
    opened(dock, images)
    until(lambda: dock.folder_work.current is not None and "cell1.tif" in dock.status.text())
    until(lambda: dock.folder_work._is_opening is False and "Opening" not in dock.status.text())
    assert dock.annotation is None
    hand.key(Qt.Key.Key_PageDown)
    shown(dock, "cell2.tif")


def test_stacks_keep_what_frames_were_counted_along(dock: Any, images: Path, hand: Hand, viewer: Any) -> None:
    for path in images.iterdir():
        path.unlink()
    for name in NAMES[:2]:
        tifffile.imwrite(images / name, cells(), imagej=True, metadata={"axes": "ZYX"})
    opened(dock, images)
    shown(dock, "cell1.tif")
    dock.close_session()
    dock.start.plane.setCurrentIndex(dock.start.plane.findData("zx"))
    dock.start.begin.click()
    shown(dock, "cell1.tif")
    assert dock.annotation.placement.along == "y"
    dock.annotation.work.do(dock.annotation.session.add_object)
    until(lambda: len(dock.annotation.rows) == 1)
    dock.folder.next.click()
    shown(dock, "cell2.tif")
    assert dock.annotation.placement.along == "y"
    dock.close_session()
    dock.start.plane.setCurrentIndex(dock.start.plane.findData("yx"))
    # the session of the first image is of another plane than what is chosen now
    dock.folder.previous.click()
    shown(dock, "cell1.tif")
    assert dock.annotation.placement.along == "y"
    until(lambda: len(dock.annotation.rows) == 1)


def test_axes_that_were_wrongly_guessed_are_said_once(dock: Any, images: Path) -> None:
    for path in images.iterdir():
        tifffile.imwrite(path, cells())
    opened(dock, images)
    shown(dock, "cell1.tif")
    guessed = dock.annotation.placement.axes
    chosen = {"tyx": "zyx", "zyx": "tyx"}[guessed]
    dock.close_session()
    dock.start.axes.setText(chosen)
    dock.start.axes.editingFinished.emit()
    dock.start.begin.click()
    shown(dock, "cell1.tif")
    assert dock.annotation.placement.axes == chosen
    dock.folder.next.click()
    shown(dock, "cell2.tif")
    assert (dock.annotation.placement.axes, dock.annotation.placement.along) == (chosen, chosen[0])


def test_choosing_another_folder_can_be_cancelled(dock: Any, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sam2_napari.keys as keys

    said: list[str] = []
    monkeypatch.setattr(dock.folder_work, "warn", said.append)
    monkeypatch.setattr(keys, "setting", lambda _, name, usual: {"next_image": "Foo-Q"}.get(name, usual))
    opened(dock, images)
    shown(dock, "cell1.tif")
    until(lambda: listed(dock) == ["not begun"] * 3)
    dock.close_session()
    dock.folder.show_choice.click()
    # it is listed again meanwhile
    heard: list[Any] = []
    dock.folder_work.listed.connect(heard.append)
    dock.folder_work.list_states()
    until(lambda: heard)
    dock.folder_work.listed.disconnect(heard.append)
    assert (dock.folder.choice.isVisible(), dock.folder.list_part.isVisible()) == (True, False)
    cancel = next(one for one in dock.folder.choice.findChildren(QPushButton) if one.text() == "Cancel")
    cancel.click()
    assert (dock.folder.choice.isVisible(), dock.folder.list_part.isVisible()) == (False, True)
    # a key that is none is told once
    assert [text.split(" Change")[0] for text in said] == ["The key of 'Next image' is 'Foo-Q', which is none."]

    dock.folder_work.close()
    dock.folder.show_choice.click()
    cancel.click()
    assert not dock.folder.isVisible()


def test_the_last_folder_is_offered_with_what_was_chosen_for_it(dock: Any, images: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    opened(dock, images, str(labels))
    shown(dock, "cell1.tif")
    dock.folder_work.close()
    dock.close_session()
    for line in (dock.folder.images, dock.folder.labels):
        line.clear()
    dock.folder.show_choice.click()
    until(lambda: dock.folder.images.text() == str(images))
    assert dock.folder.labels.text() == str(labels)

    # what was typed before it was known stays
    dock.folder.images.setText("typed")
    dock.folder.show_choice.click()
    heard: list[int] = []
    dock.folder_work.read_recent(lambda: heard.append(1))
    until(lambda: heard)
    assert dock.folder.images.text() == "typed"
    dock.folder.images.clear()
    dock.folder.labels.clear()


def test_nothing_to_work_on(dock: Any, tmp_path: Path) -> None:
    opened(dock, tmp_path / "nowhere")
    until(lambda: "no folder" in dock.status.text())
    (tmp_path / "empty").mkdir()
    opened(dock, tmp_path / "empty")
    until(lambda: "no image" in dock.status.text())
    dock.folder.done.click()
    assert "Open an image of the folder first" in dock.status.text()
