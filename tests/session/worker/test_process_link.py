"""A worker in a process of its own: the same results; killed or hung it is replaced, and nothing is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError, InvalidTypeError, MissingFileError, WorkerError
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.job import Job
from sam2_core.session.worker import shared_frames
from sam2_core.session.worker.messages import FramePixels, ToWorker
from sam2_core.session.worker.process_link import ProcessLink
from sam2_core.volumes.frames import open_frames
from tests.session.job_scene import new_session, until

FRAMES = 12
PATIENCE = 300.0

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


def clicked(session: AnnotationSession, x: float = 30, y: float = 20, frame: int = 0) -> int:
    one = session.add_object()
    session.add_points(one.id, frame, (x, y))
    session.start_segment(one.id, frame).wait(PATIENCE)
    return one.id


def process_id(session: AnnotationSession) -> int:
    link: Any = session.runner._link
    return int(link.process_id)


def labels(session: AnnotationSession) -> np.ndarray:
    return np.stack([session.labels(frame, priority="lower id") for frame in range(FRAMES)])


def expected() -> np.ndarray:
    with new_session(count=FRAMES) as session:
        clicked(session)
        clicked(session, 60, 40, 2)
        list(session.propagate())
        return labels(session)


def test_the_same_as_in_a_thread_also_when_it_is_killed_on_the_way() -> None:
    with new_session(worker="process", count=FRAMES) as session:
        clicked(session)
        clicked(session, 60, 40, 2)
        first = process_id(session)

        def kill(job: Job) -> None:
            if job.done == 5:
                job.changed.disconnect(kill)
                os.kill(first, signal.SIGKILL)

        job = session.start_propagate()
        job.changed.connect(kill)
        assert sorted(set(job.wait(PATIENCE))) == list(range(FRAMES))

        assert process_id(session) != first
        assert np.array_equal(labels(session), expected())
        assert [step.label for step in session.history][-1] == "track 2 objects"
        last = process_id(session)
    with pytest.raises(ProcessLookupError):
        os.kill(last, 0)


def test_frames_go_through_shared_memory_or_else_through_the_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[FramePixels] = []
    send = ProcessLink.send

    def noted(self: ProcessLink, message: ToWorker) -> None:
        if isinstance(message, FramePixels):
            sent.append(message)
        send(self, message)

    monkeypatch.setattr(ProcessLink, "send", noted)
    found = []
    for most in (shared_frames.MOST_BYTES, 1):
        monkeypatch.setattr(shared_frames, "MOST_BYTES", most)
        with new_session(worker="process", count=FRAMES) as session:
            clicked(session)
            found.append(labels(session))
            link: Any = session.runner._link
            # nothing that a crash could leave behind
            assert not (Path(link._folder.name) / "frames").exists()
    assert np.array_equal(*found)
    assert found[0].any()
    through_memory = [not message.pixels for message in sent]
    assert {True, False} == set(through_memory)
    assert through_memory == sorted(through_memory, reverse=True)


def test_a_worker_that_hangs_is_ended_and_its_job_is_told() -> None:
    with new_session(worker="process", count=FRAMES) as session:
        one = clicked(session)
        link: Any = session.runner._link
        stopped = process_id(session)

        def stop(job: Job) -> None:
            if job.done == 3:
                job.changed.disconnect(stop)
                # on a busy machine it may take as long before
                link._patience = 2.0
                os.kill(stopped, signal.SIGSTOP)

        job = session.start_propagate([one])
        job.changed.connect(stop)
        with pytest.raises(
            WorkerError, match=r"was ended\. It was to track an object with the propagator 'both' of plugin"
        ):
            job.wait(PATIENCE)
        assert set(session.masked_frames(one)) >= {0, 1, 2}
        assert all(step.is_finished for step in session.history)

        assert session.start_propagate([one], count=2).wait(PATIENCE)
        session.start_features(0).wait(PATIENCE)
        os.kill(process_id(session), signal.SIGKILL)
        until(lambda: session.runner._link is None)
        assert session.start_segment(one, 0).wait(PATIENCE)


def test_what_is_wrong_in_the_worker_is_told_here() -> None:
    with new_session(worker="process", model="/nowhere/model.pt") as session:
        one = session.add_object()
        session.add_points(one.id, 0, (30, 20))
        with pytest.raises(MissingFileError):
            session.start_segment(one.id, 0).wait(PATIENCE)
    with new_session(worker="process") as session:
        one = session.add_object()
        session.add_points(one.id, 3, (30, 20))
        read = session.stack.read

        def unreadable(index: int) -> Any:
            if index == 3:
                raise InvalidInputError("a damaged file")
            return read(index)

        session.stack.read = unreadable  # type: ignore[method-assign]
        with pytest.raises(InvalidInputError, match="Frame 3 cannot be read: a damaged file"):
            session.start_segment(one.id, 3).wait(PATIENCE)


@pytest.mark.soak
def test_killed_at_random() -> None:
    random.seed(0)
    wanted = expected()
    with new_session(worker="process", count=FRAMES) as session:
        clicked(session)
        clicked(session, 60, 40, 2)
        for _ in range(100):
            session.undo() if session.history[-1].label.startswith("track") else None
            job = session.start_propagate()
            when = random.randrange(FRAMES)

            def kill(job: Job, when: int = when) -> None:
                if job.done >= when and session.runner._link is not None:
                    job.changed.disconnect()
                    os.kill(process_id(session), signal.SIGKILL)

            job.changed.connect(kill)
            job.wait(PATIENCE)
            assert np.array_equal(labels(session), wanted)


def test_an_option_that_cannot_be_sent_is_told_to_who_asks() -> None:
    with new_session(worker="process") as session:
        with pytest.raises(InvalidTypeError, match="number, text"):
            session.start_everything(0, point_grids=[np.array([[0.5, 0.5]])])

        assert [job.state for job in session.jobs] == ["failed"]


def test_a_worker_that_never_comes_up_is_not_started_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    real = subprocess.Popen

    def dying(command: list[str], **options: Any) -> Any:
        started.append(command)
        return real([sys.executable, "-c", "raise SystemExit(3)"], **options)

    monkeypatch.setattr(subprocess, "Popen", dying)
    with new_session(worker="process") as session:
        with pytest.raises(WorkerError, match="exit status 3"):
            session.start_encode([0]).wait(PATIENCE)

        assert len(started) == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_of_who_hears_leaves_the_link_open(monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.Popen
    says = (
        "import sys; from sam2_core.session.worker import codec, messages\n"
        "for number in (1, 2): codec.write_message(sys.stdout.buffer, messages.Finished(number))\n"
        "sys.stdin.buffer.read()"
    )
    monkeypatch.setattr(subprocess, "Popen", lambda _, **options: real([sys.executable, "-c", says], **options))
    heard: list[Any] = []

    def hear(message: Any) -> None:
        heard.append(message)
        raise LookupError("a bug of somebody")

    link = ProcessLink("a model", open_frames(np.zeros((2, 8, 8), np.uint8)), hear, lambda *_: None, options={})
    until(lambda: len(heard) == 2)
    link.close()
