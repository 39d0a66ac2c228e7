"""Choosing what to work on; the disk is not waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from qtpy.QtWidgets import QApplication

import sam2_napari.session_choice as session_choice
from sam2_napari.session_choice import LOOKING
from sam2_napari.session_folders import KnownSession
from tests.napari.hand import until
from tests.napari.scene import cells


class Disk:
    """Kept sessions, of which nothing is known until the disk answers."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.asked: list[str] = []
        self.kept: dict[str, list[KnownSession]] = {}
        self.error: Exception | None = None

    def __call__(self, description: Any) -> list[KnownSession]:
        assert threading.current_thread() is not threading.main_thread()
        self.asked.append(description["name"])
        assert self.may_answer.wait(120)
        if self.error is not None:
            raise self.error
        return self.kept.get(description["name"], [])


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    made = Disk()
    for name in ("first", "second"):
        made.kept[name] = [KnownSession(Path(name), {}, 0.0)]
    monkeypatch.setattr(session_choice, "known_sessions", made)
    yield made
    made.may_answer.set()


@pytest.fixture
def panel(display: None, qapp: Any, disk: Disk) -> Iterator[Any]:
    from napari.components import ViewerModel

    from sam2_napari.start_panel import StartPanel

    viewer, started, failed = ViewerModel(), [], []
    made = StartPanel(viewer, started.append, failed.append, print)
    yield SimpleNamespace(start=made, viewer=viewer, started=started, failed=failed)
    made.deleteLater()


def offered(panel: Any) -> list[str]:
    box = panel.start.session
    return [str(box.itemData(number)) for number in range(box.count())]


def test_who_starts_before_the_kept_sessions_are_known_goes_on_with_what_is_found(panel: Any, disk: Disk) -> None:
    panel.viewer.add_image(cells(2), name="first")
    until(lambda: disk.asked)
    assert panel.start.session.currentText() == LOOKING
    panel.start.begin.click()
    panel.start.begin.click()
    # as when a session that was closed lets go of its files
    panel.start.list_sessions()
    QApplication.processEvents()
    assert panel.started == []
    disk.may_answer.set()
    until(lambda: panel.started)
    assert [one.folder for one in panel.started] == [Path("first")]
    assert offered(panel) == ["None", "first"]
    panel.start.begin.click()
    assert [one.folder for one in panel.started] == [Path("first")] * 2


def test_who_wants_a_new_session_need_not_wait(panel: Any, disk: Disk) -> None:
    panel.viewer.add_image(cells(2), name="first")
    until(lambda: disk.asked)
    panel.start.session.setCurrentIndex(0)
    panel.start.begin.click()
    assert [one.folder for one in panel.started] == [None]
    disk.may_answer.set()
    until(lambda: len(offered(panel)) == 2 and LOOKING not in offered(panel))
    # it is still what was chosen
    assert panel.start.session.currentData() is None
    panel.start.session.setCurrentIndex(1)
    panel.start.request(is_new=True)
    assert [one.folder for one in panel.started] == [None] * 2


def test_sessions_of_what_was_chosen_before_are_not_offered(panel: Any, disk: Disk) -> None:
    panel.viewer.add_image(cells(2), name="first")
    until(lambda: disk.asked)
    panel.start.begin.click()
    panel.viewer.add_image(cells(3), name="second")
    panel.start.image.setCurrentIndex(1)
    disk.may_answer.set()
    until(lambda: offered(panel) == ["None", "second"])
    # nor is what was asked of the other image begun with this one
    assert panel.started == []


def test_of_an_image_that_is_gone_nothing_is_said(panel: Any, disk: Disk) -> None:
    disk.may_answer.set()
    panel.viewer.add_image(cells(2), name="first")
    until(lambda: offered(panel) == ["None", "first"])
    assert panel.start.axes.text()
    panel.viewer.layers.clear()
    assert panel.start.axes.text() == ""
    assert offered(panel) == ["None"]


def test_a_disk_that_fails_is_told_and_hinders_nobody(panel: Any, disk: Disk) -> None:
    disk.error = PermissionError("no way in")
    panel.viewer.add_image(cells(2), name="first")
    panel.start.begin.click()
    disk.may_answer.set()
    until(lambda: panel.failed)
    assert [str(one) for one in panel.failed] == ["no way in"]
    assert [one.folder for one in panel.started] == [None]
    assert offered(panel) == ["None"]
    # nor is anybody told of a failure that concerns nothing that is chosen any more
    disk.may_answer.clear()
    panel.viewer.add_image(cells(3), name="second")
    panel.start.image.setCurrentIndex(1)
    until(lambda: disk.asked[-1] == "second")
    panel.start.image.setCurrentIndex(0)
    disk.may_answer.set()
    until(lambda: disk.asked[-1] == "first" and offered(panel) == ["None"])
    assert [str(one) for one in panel.failed] == ["no way in"] * 2
