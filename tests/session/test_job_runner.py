"""Jobs in a thread: at once there, more urgent ones first, cancelled for good, late results dropped."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sam2_core.errors import StateError, UnknownModelError, WaitTimeoutError, WorkerError
from sam2_core.session.export import measure
from sam2_core.session.items import Change
from sam2_core.session.job import Job
from sam2_core.session.worker import model_choice
from tests.inference.video_scene import small_predictor
from tests.session.job_scene import PATIENCE, Gate, new_session, predictor, until

FRAMES = 6


class Scene:
    """A session whose worker can be held up before each image."""

    def __init__(self, worker: Any = "thread") -> None:
        self.gate = Gate(predictor())
        self.session = new_session(worker=worker, count=FRAMES)
        # what is encoded ahead would come between
        self.session.worker_options = {"encodes_ahead": False, "measures": False, "feature_memory_bytes": 0}

    def clicked(self, x: float = 30, y: float = 20, frame: int = 0) -> int:
        one = self.session.add_object()
        self.session.add_points(one.id, frame, (x, y))
        return one.id


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.gate.open()
    made.session.close()
    made.gate.remove()


def test_a_job_is_there_at_once_and_tells_how_far_it_is(scene: Scene) -> None:
    session, one = scene.session, scene.clicked()
    heard: list[tuple[str, int, int]] = []
    scene.gate.close()
    job = session.start_propagate([one])
    job.changed.connect(lambda job: heard.append((job.state, job.done, job.total)))

    assert (job.kind, job.label, job.is_active) == ("propagate", "track an object", True)
    assert session.jobs.active == [job]
    scene.gate.open()
    assert sorted(job.wait(PATIENCE)) == list(range(FRAMES))

    assert job.state == "done"
    assert heard[-1] == ("done", FRAMES, FRAMES)
    assert ("running", 3, FRAMES) in heard
    assert session.jobs.active == []
    assert list(session.jobs) == [job]
    assert session.masked_frames(one) == list(range(FRAMES))
    assert [step.label for step in session.history][-1] == "track an object"


def test_a_click_goes_before_a_propagation(scene: Scene) -> None:
    session, one, two = scene.session, scene.clicked(), scene.clicked(60, 40, 2)
    ended: list[Job] = []
    scene.gate.close()
    tracking = session.start_propagate([one])
    scene.gate.wait_for_arrival()
    click = session.start_segment(two, 2)
    for job in (tracking, click):
        job.changed.connect(lambda job: ended.append(job) if not job.is_active else None)
    scene.gate.open()
    tracking.wait(PATIENCE)
    click.wait(PATIENCE)

    assert ended == [click, tracking]
    assert session.record(two, 2) is not None


def test_nothing_is_applied_once_a_job_is_cancelled(scene: Scene) -> None:
    """Also while the network computes a long block: what comes late is dropped."""
    session, one = scene.session, scene.clicked()
    scene.gate.close()
    job = session.start_propagate([one])
    scene.gate.wait_for_arrival()
    heard: list[Change] = []

    job.cancel()  # does not wait for the network, which is held up
    session.changed.connect(heard.append)

    assert job.state == "cancelled"
    scene.gate.open()
    session.start_segment(one, 0).wait(PATIENCE)
    assert session.masked_frames(one) == [0]
    assert [change.step for change in heard] == ["click on object 1"]
    assert all(step.is_finished for step in session.history)


def test_what_is_there_when_a_job_is_cancelled_stays(scene: Scene) -> None:
    session, one = scene.session, scene.clicked()
    job = session.start_propagate([one])
    job.changed.connect(lambda job: job.cancel() if job.done == 3 else None)
    until(lambda: not job.is_active)

    assert job.state == "cancelled"
    assert session.masked_frames(one) == [0, 1, 2]
    session.undo()
    assert session.masked_frames(one) == []


@pytest.mark.parametrize("state", ["waiting", "running", "paused"])
def test_undo_cancels_what_is_going_on_and_takes_it_back(scene: Scene, state: str) -> None:
    session, one = scene.session, scene.clicked()
    before = [step.label for step in session.history]
    if state == "waiting":
        scene.gate.close()
        job = session.start_propagate([one])
        scene.gate.wait_for_arrival()
    else:
        stood = threading.Event()
        job = session.start_propagate([one])

        def stand(job: Job) -> None:
            if job.done == 2 and job.state == "running":
                scene.gate.close()
                if state == "paused":
                    job.pause()
                stood.set()

        job.changed.connect(stand)
        assert stood.wait(PATIENCE)
    heard: list[Change] = []
    session.changed.connect(heard.append)

    assert session.undo() == "track an object"  # does not wait for the network, which is held up

    assert job.state == "cancelled"
    assert session.masked_frames(one) == []
    assert [step.label for step in session.history if not step.is_undone] == before
    assert bool(heard) == (state != "waiting")
    scene.gate.open()
    session.start_segment(one, 0).wait(PATIENCE)
    assert session.masked_frames(one) == [0]


def test_undone_while_it_went_on_and_done_again(scene: Scene) -> None:
    session, one = scene.session, scene.clicked()
    job = session.start_propagate([one])
    undone: list[str] = []

    def undo(job: Job) -> None:
        if job.done == 3 and job.is_active:
            undone.append(session.undo())

    job.changed.connect(undo)  # in the thread that works
    until(lambda: bool(undone))
    assert not job.is_active
    assert session.masked_frames(one) == []

    assert session.redo() == "track an object"
    assert session.masked_frames(one) == [0, 1, 2]
    assert all(step.is_finished and not step.is_undone for step in session.history)


def test_what_was_done_meanwhile_is_undone_first(scene: Scene) -> None:
    session, one = scene.session, scene.clicked()
    scene.gate.close()
    job = session.start_propagate([one])
    scene.gate.wait_for_arrival()
    session.add_object("new")

    assert session.undo() == "new new"
    assert job.is_active
    assert session.undo() == "track an object"
    assert job.state == "cancelled"


def test_undo_within_a_loop_over_frames_ends_it() -> None:
    with new_session() as session:
        one = session.add_object()
        session.add_points(one.id, 0, (30, 20))
        seen = []
        for frame in session.propagate([one.id]):
            seen.append(frame)
            if len(seen) == 2:
                session.undo()
        assert seen == [0, 1]
        assert session.masked_frames(one.id) == []


def test_what_no_job_does_cannot_be_undone_while_it_goes_on(scene: Scene) -> None:
    step = scene.session.begin_results("by hand")
    with pytest.raises(StateError, match="'by hand' is still going on"):
        scene.session.undo()
    scene.session.finish_results(step)


def test_pause_and_resume(scene: Scene) -> None:
    session, one = scene.session, scene.clicked()
    job = session.start_propagate([one])
    job.changed.connect(lambda job: job.pause() if job.done == 2 and job.state == "running" else None)
    until(lambda: job.state == "paused")
    with pytest.raises(WaitTimeoutError, match="has not ended"):
        job.wait(0.3)
    assert session.masked_frames(one) == [0, 1]
    session.start_segment(one, 0).wait(PATIENCE)

    job.changed.disconnect()
    job.resume()

    assert job.wait(PATIENCE) is not None
    assert session.masked_frames(one) == list(range(FRAMES))


def test_an_answer_that_comes_too_late_is_dropped(scene: Scene) -> None:
    session, one = scene.session, scene.clicked()
    scene.gate.close()
    first = session.start_segment(one, 0)
    scene.gate.wait_for_arrival()
    session.add_points(one, 0, (50, 50), [0])
    scene.gate.open()
    assert first.wait(PATIENCE) is None
    assert session.record(one, 0) is None

    second = session.start_segment(one, 0)

    assert second.wait(PATIENCE) == session.record(one, 0)


def test_of_several_clicks_that_wait_only_the_last_is_answered(scene: Scene) -> None:
    session, one, other = scene.session, scene.clicked(), scene.clicked(60, 40, 3)
    scene.gate.close()
    held = session.start_segment(other, 3)
    scene.gate.wait_for_arrival()
    jobs = [session.start_segment(one, 0)]
    for x in (31, 32):
        session.add_points(one, 0, (x, 20))
        jobs.append(session.start_segment(one, 0))
    before = scene.gate.encoded
    scene.gate.open()

    results = [job.wait(PATIENCE) for job in (held, *jobs)]

    assert [result is not None for result in results] == [True, False, False, True]
    assert scene.gate.encoded - before == 2  # that of the object held up, and one
    assert [job.state for job in jobs] == ["done"] * 3


def test_an_answer_belongs_to_its_click_whatever_was_done_since(scene: Scene) -> None:
    session = scene.session
    scene.gate.close()
    one = scene.clicked()
    jobs = [session.start_segment(one, 0)]
    scene.gate.wait_for_arrival()
    two = scene.clicked(60, 40)
    jobs.append(session.start_segment(two, 0))
    before = [info.id for info in session.history]
    session.undo()
    scene.gate.open()
    for job in jobs:
        job.wait(PATIENCE)

    assert [info.id for info in session.history] == before
    assert session.record(one, 0) is not None
    session.redo()
    assert not session.prompt(two, 0).is_empty
    session.start_segment(two, 0).wait(PATIENCE)
    assert [info.id for info in session.history] == before
    session.undo()
    assert session.record(two, 0) is None
    assert session.record(one, 0) is not None


@pytest.mark.parametrize("how", ["delete", "merge"])
def test_an_object_deleted_again_takes_along_what_was_found_meanwhile(scene: Scene, how: str) -> None:
    session, one, two = scene.session, scene.clicked(), scene.clicked(60, 40)
    scene.gate.close()
    job = session.start_propagate()
    scene.gate.wait_for_arrival()
    if how == "delete":
        session.delete_objects([two])
    else:
        session.merge_objects([one, two])
    session.undo()
    scene.gate.open()
    job.wait(PATIENCE)
    found = session.masked_frames(two)
    assert len(found) == FRAMES

    session.redo()

    assert [each.id for each in session.objects] == [one]
    assert {each for frame in range(FRAMES) for each in session.records_on(frame)} == {one}
    assert len(list(measure(session, intensity=False))) == FRAMES
    session.undo()
    assert session.masked_frames(two) == found
    session.undo()
    assert session.masked_frames(two) == []


def test_an_object_deleted_meanwhile_stays_deleted(scene: Scene) -> None:
    session, one, two = scene.session, scene.clicked(), scene.clicked(60, 40)
    scene.gate.close()
    job = session.start_propagate()
    scene.gate.wait_for_arrival()
    session.delete_objects([two])
    scene.gate.open()
    job.wait(PATIENCE)

    assert [each.id for each in session.objects] == [one]
    assert session.masked_frames(one) == list(range(FRAMES))


def test_a_failing_job_is_told_and_the_next_one_works(scene: Scene) -> None:
    session, one = scene.session, scene.clicked()
    scene.gate.error = KeyError("a defect")
    with pytest.raises(WorkerError, match="KeyError: 'a defect'") as caught:
        session.start_propagate([one]).wait(PATIENCE)
    scene.gate.error = None
    assert "In the worker" in caught.value.__notes__[0]
    assert session.jobs[-1].state == "failed"

    assert session.start_propagate([one]).wait(PATIENCE)


@pytest.mark.parametrize("when", ["loading", "working"])
def test_where_memory_runs_out_on_a_gpu_the_cpu_goes_on(monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    full = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
    gate, asked = Gate(predictor()), []

    def opened(model: str, device: str | None) -> Any:
        asked.append(device)
        gate.error = full if device is None and when == "working" else None
        if device is None and when == "loading":
            raise full
        return predictor()

    monkeypatch.setattr(model_choice, "opened_predictor", opened)
    said: list[str] = []
    with new_session(model="a large one", worker="thread", count=FRAMES) as session:
        session.worker_options = {"encodes_ahead": False, "measures": False, "feature_memory_bytes": 0}
        session.fell_back.connect(said.append)
        one = session.add_object().id
        session.add_points(one, 0, (30, 20))
        job = session.start_propagate([one])
        assert sorted(job.wait(PATIENCE)) == list(range(FRAMES))
        assert asked == [None, "cpu"]
        until(lambda: said)
        assert "Tried to allocate 2 GiB" in said[0]
        assert "on the CPU" in said[0]

        # there is nothing to go to from there
        gate.error = full
        session.add_points(one, 3, (30, 20))
        with pytest.raises(WorkerError, match="Memory ran out"):
            session.start_segment(one, 3).wait(PATIENCE)
        assert len(said) == 1
    gate.remove()


def test_a_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    with new_session(model=str(tmp_path / "none.pt"), worker="thread") as session:
        one = session.add_object()
        session.add_points(one.id, 0, (30, 20))
        with pytest.raises(FileNotFoundError):
            session.start_segment(one.id, 0).wait(PATIENCE)


def test_nothing_is_started_once_it_is_closed(scene: Scene) -> None:
    scene.session.close()
    with pytest.raises(StateError, match="closed"):
        scene.session.runner.start_local("export", "something", lambda progress: None)


def test_everything_is_one_step_and_can_be_tracked(scene: Scene) -> None:
    session = scene.session
    options = {"points_per_side": 4, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.0}
    ids = session.start_everything(1, **options).wait(PATIENCE)

    assert ids
    assert [one.id for one in session.objects] == ids
    records = [session.record(one, 1) for one in ids]
    assert all(record is not None and record.source == "prompt" for record in records)
    assert all(record is not None and record.object_score is not None for record in records)
    assert [step.label for step in session.history] == ["segment everything on frame 1"]
    again = session.start_everything(1, **options).wait(PATIENCE)
    assert again == []
    assert session.start_propagate(ids[:1], count=2).wait(PATIENCE)
    session.undo()
    session.undo()
    assert session.objects == []


def test_local_work_runs_beside_the_worker(scene: Scene, tmp_path: Path) -> None:
    """An export; and long work, which ends when it is cancelled and keeps no export waiting meanwhile."""
    session, one = scene.session, scene.clicked()
    session.start_propagate([one]).wait(PATIENCE)
    begun = threading.Event()

    def work(progress: Any) -> None:
        for step in range(10**6):
            begun.set()
            progress(step, 10**6)
            time.sleep(0.001)

    job = session.runner.start_local("train", "a long training", work)
    assert begun.wait(PATIENCE)
    path = session.start_export(tmp_path / "labels.tif").wait(PATIENCE)
    assert path.exists()
    assert session.jobs[-1].total == FRAMES
    assert job.is_active
    job.stop()  # it knows no better than to be cancelled
    assert job.state == "cancelled"
    assert job.wait() is None


def test_another_model_goes_on_with_what_was_begun(scene: Scene) -> None:
    session, one = scene.session, scene.clicked()
    session.start_segment(one, 0).wait(PATIENCE)
    other = small_predictor()
    gate = Gate(other)
    scene.gate.close()
    job = session.start_propagate([one])
    scene.gate.wait_for_arrival()
    threading.Timer(0.1, scene.gate.open).start()  # the old worker ends after the frame that it is on
    heard: list[Any] = []
    session.model_changed.connect(heard.append)

    session.use_model(other)

    assert sorted(job.wait(PATIENCE)) == list(range(FRAMES))
    assert gate.encoded > 0
    assert session.model is other
    assert heard == [other]
    with pytest.raises(UnknownModelError):
        session.use_model("no-such-model")
    assert session.model is other


def test_the_model_is_not_replaced_by_what_listens(scene: Scene) -> None:
    session, one = scene.session, scene.clicked()
    caught: list[BaseException] = []

    def listen(_: Change) -> None:
        session.changed.disconnect(listen)
        try:
            session.use_model(predictor())
        except StateError as error:
            caught.append(error)

    session.changed.connect(listen)
    session.start_propagate([one], count=1).wait(PATIENCE)

    assert "cannot be replaced" in str(caught[0])


def test_waiting_for_a_job_in_what_listens_to_it_is_refused(scene: Scene) -> None:
    session, one = scene.session, scene.clicked()
    caught: list[BaseException] = []

    def listen(_: Change) -> None:
        session.changed.disconnect(listen)
        try:
            session.segment(one, 0)
        except StateError as error:
            caught.append(error)

    session.changed.connect(listen)
    session.start_propagate([one], count=1).wait(PATIENCE)

    assert "cannot be waited for" in str(caught[0])


def test_closing_cancels(scene: Scene) -> None:
    session, one = scene.session, scene.clicked()
    scene.gate.close()
    job = session.start_propagate([one])
    scene.gate.wait_for_arrival()
    threading.Timer(0.2, scene.gate.open).start()
    session.close()

    assert job.state == "cancelled"


def test_frames_round_the_one_that_is_looked_at_are_encoded_first() -> None:
    gate = Gate(predictor())
    order: list[int] = []
    with new_session(worker="thread", count=FRAMES) as session:
        read = session.stack.read
        session.stack.read = lambda index: (order.append(index), read(index))[1]  # type: ignore[method-assign]
        session.current_frame = 3
        until(lambda: gate.encoded >= FRAMES)

    gate.remove()
    first = order.index(3)  # another one may be read to learn what frames look like
    assert order[first : first + 5] == [3, 4, 2, 5, 1]


def test_the_same_with_and_without_a_thread() -> None:
    found = []
    for worker in (None, "thread"):
        with new_session(worker=worker, count=FRAMES) as session:
            for x, y, frame in ((30, 20, 0), (60, 40, 2)):
                one = session.add_object()
                session.add_points(one.id, frame, (x, y))
                session.segment(one.id, frame)
            assert sorted(set(session.propagate())) == list(range(FRAMES))
            found.append(np.stack([session.labels(frame) for frame in range(FRAMES)]))

    assert np.array_equal(*found)


def test_how_long_it_will_take_is_told_before_it_begins(scene: Scene) -> None:
    session, one = scene.session, scene.clicked()
    first = session.start_propagate([one])
    first.wait(PATIENCE)
    scene.gate.close()

    second = session.start_propagate([one])

    assert second.state != "done"
    assert second.eta_seconds is not None
    assert 0 < second.eta_seconds < PATIENCE
    scene.gate.open()
    second.wait(PATIENCE)
    assert second.eta_seconds is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_listener_that_raises_ends_nothing_but_itself(scene: Scene, tmp_path: Path) -> None:
    session, one = scene.session, scene.clicked()

    def listen(job: Job) -> None:
        raise LookupError("a bug of somebody")

    session.jobs.changed.connect(lambda job: job.changed.connect(listen))
    assert session.start_segment(one, 0).wait(PATIENCE) is not None
    assert list(session.propagate([one], count=1))
    for name in ("first", "second"):
        assert session.start_export(tmp_path / f"{name}.tif").wait(PATIENCE).exists()
    assert {job.state for job in session.jobs} == {"done"}


def test_going_through_frames_in_what_listens_is_refused(scene: Scene) -> None:
    session, one = scene.session, scene.clicked()
    caught: list[BaseException] = []

    def listen(_: Change) -> None:
        session.changed.disconnect(listen)
        try:
            list(session.propagate([one]))
        except StateError as error:
            caught.append(error)

    session.changed.connect(listen)
    session.start_propagate([one], count=1).wait(20)

    assert "cannot be gone through" in str(caught[0])


def test_no_worker_is_started_for_a_session_that_is_closed() -> None:
    session = new_session(worker="thread")
    session.close()
    session.current_frame = 2

    assert session.runner._link is None


def test_ctrl_c_cancels_what_is_done_in_this_thread() -> None:
    with new_session() as session:
        one = session.add_object()
        session.add_points(one.id, 0, (30, 20))

        def interrupt(_: int) -> None:
            raise KeyboardInterrupt

        session.segment(one.id, 0)
        real = session.stack.read
        session.stack.read = interrupt  # type: ignore[assignment,method-assign]
        with pytest.raises(KeyboardInterrupt):
            session.start_propagate()
        session.stack.read = real  # type: ignore[method-assign]

        assert [job.state for job in session.jobs] == ["done", "cancelled"]
        assert all(step.is_finished for step in session.history)
        assert list(session.propagate())
