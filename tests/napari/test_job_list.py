"""What goes on in the background: how far it is, and stopping it without waiting for anybody."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.napari.hand import until
from tests.napari.scene import cells


class Gates:
    """Work of four pieces, each done once its gate is open."""

    def __init__(self) -> None:
        self.gates = [threading.Event() for _ in range(4)]
        self.is_stopped = False

    @classmethod
    def opened(cls) -> Gates:
        made = cls()
        made.open()
        return made

    def __call__(self, progress: Any) -> None:
        progress(0, len(self.gates))
        for done, gate in enumerate(self.gates, start=1):
            gate.wait()
            progress(done, len(self.gates))

    def stop(self) -> None:
        self.is_stopped = True
        self.open()

    def open(self) -> None:
        for gate in self.gates:
            gate.set()


@pytest.fixture(scope="module")
def dock(display: None, qapp: Any) -> Iterator[Any]:
    from napari.components import ViewerModel

    from sam2_napari.dock import AnnotateDock

    made = AnnotateDock(ViewerModel())
    made.start.model.addItem("none", None)
    made.start.model.setCurrentIndex(made.start.model.findText("none"))
    made.viewer.add_image(cells(2), name="image")
    # a new one, whatever other tests have kept of an image like this
    made.start.session.setCurrentIndex(0)
    made.start.begin.click()
    until(lambda: made.annotation is not None, why=lambda: made.status.text())
    yield made
    made.close_session()
    made.deleteLater()


@pytest.fixture
def work() -> Iterator[Gates]:
    made = Gates()
    yield made
    made.open()


def started(dock: Any, work: Gates) -> tuple[Any, Any]:
    """The job, and its row once the list has one."""
    job = dock.annotation.session.runner.start_local("export", "writing", work, stop=work.stop)
    until(lambda: job.id in dock.workspace.jobs.rows and job.state == "running")
    return job, dock.workspace.jobs.rows[job.id]


def test_the_row_says_how_far_a_job_is(dock: Any, work: Gates) -> None:
    job, row = started(dock, work)
    for done in range(1, 4):
        work.gates[done - 1].set()
        until(lambda done=done: row.bar.value() == done and f"{done} of 4" in row.label.text())
    assert "left" in row.label.text()
    work.open()
    until(lambda: job.id not in dock.workspace.jobs.rows)


def test_stopping_keeps_what_a_job_came_to(dock: Any, work: Gates) -> None:
    """By its button, and by the key for all."""
    for stop in (lambda row: row.stop.click(), lambda row: dock.annotation.cancel()):
        again = Gates()
        job, row = started(dock, again)
        stop(row)
        until(lambda job=job: not job.is_active)
        assert (again.is_stopped, job.state) == (True, "done")


def test_the_interface_does_not_wait_for_who_holds_the_jobs(dock: Any, work: Gates) -> None:
    job, row = started(dock, work)
    is_held, may_go = threading.Event(), threading.Event()
    was_waited_for = []

    def hold() -> None:
        with dock.annotation.session.runner._lock:
            is_held.set()
            was_waited_for.append(not may_go.wait(60))

    holder = threading.Thread(target=hold)
    holder.start()
    is_held.wait()
    row.pause.click()
    assert job.state == "running"
    may_go.set()
    holder.join()
    assert was_waited_for == [False]
    until(lambda: row.pause.text() == "Go on")
    row.pause.click()
    until(lambda: row.pause.text() == "Pause")


def test_what_waits_for_the_end_has_the_last_word(dock: Any, work: Gates) -> None:
    annotation, heard = dock.annotation, []
    runner = annotation.session.runner

    def hear(job: Any) -> None:
        heard.append(job)
        annotation.say("This comes last.")

    stopped = runner.start_local("export", "stopped", work)
    annotation.when_done(stopped, hear)
    stopped.cancel()
    work.open()
    for _ in range(3):
        # it has ended before anybody listens, while the list rests from the last look, or later
        job = runner.start_local("export", "ending", Gates.opened())
        annotation.when_done(job, hear)
        until(lambda job=job: job in heard)
        until(lambda: not annotation._jobs_soon._timer.isActive())
        assert job.id in dock.workspace.jobs._told
        assert dock.status.text() == "This comes last."
    assert stopped not in heard
