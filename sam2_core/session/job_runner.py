"""Runs a session's jobs: sends them to the worker, and takes in what comes back, in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sam2_core.errors import StateError, WorkerError
from sam2_core.session.inference_jobs import InferenceJob, Statements, TrackingJob
from sam2_core.session.items import Change
from sam2_core.session.job import ENDED, Job, JobKind, JobList
from sam2_core.session.local_jobs import LocalLane, Work
from sam2_core.session.worker.failures import error_from, is_device_full
from sam2_core.session.worker.link import Hear, Link
from sam2_core.session.worker.messages import (
    Cancel,
    CandidatesFound,
    Estimated,
    Failed,
    FeaturesFound,
    Finished,
    FrameFound,
    FromWorker,
    LookAt,
    Pause,
    Progress,
    Resume,
    Started,
)

if TYPE_CHECKING:
    from sam2_core.session.annotation_session import AnnotationSession
    from sam2_core.session.training_record import TrainingRecord

#: Makes the way to a new worker: told where reports go, and where to say that the worker is lost, and whether it hung.
MakeLink: TypeAlias = Callable[[Hear, Callable[[WorkerError, bool], None]], Link]
#: Seconds to wait, when a session is closed, for a piece of local work to end.
PATIENCE = 10.0
#: Seconds between two looks at a job, and at a caller's `should_stop`, while a worker computes.
POLL_SECONDS = 0.05


class JobRunner:
    """Between a session and its worker.

    Everything that comes from the worker is taken in under one lock, so that a job that was cancelled changes nothing
    more, and results are applied in the order in which they were found.

    Parameters
    ----------
    session : AnnotationSession
    make_link : callable
        Makes the way to a new worker; called when the first job is started, and after a worker has failed.
    is_inline : bool
        Whether work is done in the thread that waits for it.
    """

    def __init__(self, session: AnnotationSession, make_link: MakeLink, *, is_inline: bool) -> None:
        self.jobs = JobList()
        self._session = session
        self._make_link = make_link
        self._is_inline = is_inline
        self._link: Link | None = None
        self._link_number = 0
        self._is_closed = False
        self._current_frame: int | None = None
        # what a unit of work took lately, by the pace of jobs
        self._unit_seconds: dict[str, float] = {}
        # saving need not wait for a training to end
        self._lanes: dict[JobKind, LocalLane] = {
            kind: LocalLane(self._hear_local, is_inline) for kind in ("export", "train")
        }
        self._work: dict[int, tuple[Job, InferenceJob]] = {}
        self._statements = Statements(session)
        self._lock = threading.RLock()
        self._applying = threading.local()
        session.changed.connect(self._note)

    @property
    def is_closed(self) -> bool:
        """Whether no job is started any more."""
        return self._is_closed

    def require_open(self) -> None:
        """Refuse what comes after the end.

        Raises
        ------
        StateError
            The session is closed.
        """
        if self._is_closed:
            raise StateError("The session is closed; open it again.")

    def start(self, work: InferenceJob) -> Job:
        """Start a job of the inference worker."""
        with self._lock:
            link = self._opened_link()
            job = self._new_job(work.kind, work.label)
            if work.pace in self._unit_seconds:
                job.eta_seconds = self._unit_seconds[work.pace] * work.units()
            self._work[job.id] = (job, work)
            try:
                work.begin()
                link.send(work.request(job.id, self._statements))
            except Exception as error:
                # it cannot be asked for, and nobody would ever hear of it
                self._end(job, work, error)
                raise
        return job

    def start_local(
        self,
        kind: Literal["export", "train"],
        label: str,
        work: Work,
        *,
        stop: Callable[[], None] | None = None,
        discard: Callable[[], None] | None = None,
        training: TrainingRecord | None = None,
    ) -> Job:
        """Start a job that needs no inference worker; those of a kind are done one after another.

        `discard` takes back what the work has left, where it was cancelled at its very end.
        """
        with self._lock:
            self.require_open()
            job = self._new_job(kind, label, stop, training)
            self._lanes[kind].start(job, work, discard)
        return job

    @contextmanager
    def holding_results(self) -> Iterator[None]:
        """Let nothing come in meanwhile from other threads."""
        with self._lock:
            yield

    def cancel_step(self, step: int) -> bool:
        """Cancel the job whose step that is; returns whether there is one."""
        with self._lock:
            job = next((job for job, work in self._work.values() if work.step == step), None)
            if job is not None:
                job.cancel()
        return job is not None

    def replace_worker(self) -> None:
        """End the worker, if there is one, and have a new one go on with what it was to do.

        Raises
        ------
        StateError
            Called by what listens to the session's events, which the old worker may wait for; or the session is closed.
        """
        self.require_open()
        if self._is_applying:
            raise StateError(
                "The model cannot be replaced by what listens to this session's events: the worker waits for the "
                "listener."
            )
        with self._lock, self._taking_in():
            old, self._link = self._link, None
            if old is not None:
                self._hand_over(list(self._work.values()))
        if old is not None:
            # its last reports are dropped: they carry the old number
            old.close()

    def look_at(self, frame: int) -> None:
        """Tell the worker which frame a person looks at, if it has a thread of its own in which to do something."""
        if not self._is_inline and not self._is_closed:
            with self._lock:
                self._current_frame = frame
                self._opened_link().send(LookAt(frame))

    def frames_of(self, work: TrackingJob, should_stop: Callable[[], bool] | None = None) -> Iterator[int]:
        """Start tracking, and yield its frames, each once its masks are in the session.

        Leaving the loop cancels the job, and so does `should_stop`, which is asked before each frame.
        """
        if self._is_applying:
            raise StateError(
                f"{work.label!r} cannot be gone through by what listens to this session's events: the work waits for "
                "the listener. Start it (start_propagate) and listen to the job."
            )
        arrived = threading.Event()
        job = self.start(work)
        job.changed.connect(lambda _: arrived.set())
        given = 0
        try:
            while True:
                is_active = job.is_active
                if given < len(work.frames):
                    given += 1
                    yield work.frames[given - 1]
                elif not is_active:
                    break
                elif should_stop is not None and should_stop():
                    job.cancel()
                elif not self._is_inline:
                    arrived.wait(POLL_SECONDS)
                    arrived.clear()
                elif not self._pump():
                    arrived.wait()
        finally:
            job.cancel()
        job.wait()

    def finish_here(self, job: Job) -> None:
        """Do a job in this thread, where there is no other; not within an event that it has caused itself."""
        if self._is_inline and not self._is_applying:
            try:
                while job.is_active and job.state != "paused" and self._pump():
                    pass
            except BaseException:
                # Ctrl-C: nobody has the job, and its step would stay open
                job.cancel()
                raise

    def close(self) -> None:
        """Cancel all jobs and end the worker; none is started any more."""
        self.jobs.cancel_all()
        self._session.changed.disconnect(self._note)
        for lane in self._lanes.values():
            lane.close(PATIENCE)
        with self._lock:
            link, self._link = self._link, None
            self._is_closed = True
        if link is not None:
            link.close()

    # From the worker

    def hear(self, number: int, report: FromWorker) -> None:
        """Take in what the worker of that number says; in the thread it comes in."""
        with self._lock, self._taking_in():
            if number != self._link_number:
                # another one is in its place
                return
            if isinstance(report, Failed) and is_device_full(report) and self._session._falls_back():
                self._go_on_elsewhere()
                self._session.fell_back.emit(
                    f"Memory ran out on the GPU ({report.message}), so the model works on the CPU from now on, which "
                    "takes longer. Close other programs or take a smaller model, and open the session again to go back."
                )
                return
            if isinstance(report, Failed) and report.job is None:
                self._fail_all(error_from(report))
                return
            job_id = getattr(report, "job", None)
            if job_id not in self._work:
                # cancelled meanwhile
                return
            job, work = self._work[job_id]
            if isinstance(report, Started):
                job._begin(report.total, report.seconds)
                if report.seconds is not None:
                    self._unit_seconds[work.pace] = report.seconds / max(1, work.units())
            elif isinstance(report, FrameFound | CandidatesFound | FeaturesFound | Estimated):
                work.apply(report)
            elif isinstance(report, Progress):
                job._advance(report.done, report.total)
            elif isinstance(report, Finished):
                self._end(job, work, None)
            elif isinstance(report, Failed):
                self._end(job, work, error_from(report))

    def _hear_local(self, job: Job, progress: tuple[int, int] | None, result: Any, error: Exception | None) -> bool:
        """Returns whether the job had not been cancelled before."""
        with self._lock, self._taking_in():
            if not job.is_active:
                return False
            if progress is not None:
                if job.state == "waiting":
                    job._begin(progress[1], None)
                job._advance(*progress)
                return True
            job.result = result
            job._set_state("failed" if error is not None else "done", error)
            return True

    def _end(self, job: Job, work: InferenceJob, error: Exception | None) -> None:
        del self._work[job.id]
        result = work.finish()
        if error is None:
            self._unit_seconds[work.pace] = job._clock.seconds / max(1, work.units())
        job.result = result if error is None else None
        if error is None and job.total:
            job.done = job.total
        job._set_state("done" if error is None else "failed", error)

    def lose(self, number: int, error: WorkerError, hung: bool) -> None:
        """Put a new worker in the place of one that crashed or hung, and tell it what the old one was to do.

        A job that was being worked on is begun once more after a crash, which may have been nobody's fault; a second
        crash, or a hang, is its end. So it is for all jobs where none had begun: the model may be too large to load.
        """
        with self._lock, self._taking_in():
            if number != self._link_number or self._link is None:
                return
            self._link = None
            retried = []
            is_one_running = any(job.state == "running" for job, _ in self._work.values())
            for job, work in list(self._work.values()):
                if job.state == "running" or not is_one_running:
                    if hung or work.attempts:
                        self._end(job, work, _blamed(error, job, work))
                        continue
                    work.attempts += 1
                retried.append((job, work))
            if retried:
                self._hand_over(retried)

    def _hand_over(self, jobs: list[tuple[Job, InferenceJob]]) -> None:
        """Tell a new worker what the old one was to do."""
        link = self._opened_link()
        if self._current_frame is not None:
            link.send(LookAt(self._current_frame))
        for job, work in jobs:
            work.begin_again()
            link.send(work.request(job.id, self._statements))
            if job.state == "paused":
                link.send(Pause(job.id))

    def _go_on_elsewhere(self) -> None:
        """Have a worker on another device do all that there is to do."""
        link, self._link = self._link, None
        if link is not None:
            link.close()
        if self._work:
            self._hand_over(list(self._work.values()))

    def _fail_all(self, error: Exception) -> None:
        """The worker could not begin: no model, no memory."""
        link, self._link = self._link, None
        for job, work in list(self._work.values()):
            self._end(job, work, error)
        if link is not None:
            link.close()

    # For jobs

    def _new_job(
        self,
        kind: JobKind,
        label: str,
        stop: Callable[[], None] | None = None,
        training: TrainingRecord | None = None,
    ) -> Job:
        job = self.jobs._new(kind, label, stop, training)
        job._control, job._wait = self._control, self._wait_for
        return job

    def _control(self, job: Job, what: Literal["cancel", "pause", "resume"]) -> None:
        with self._lock:
            if not job.is_active or (what == "pause" and job.state == "paused"):
                return
            if what == "resume" and job.state != "paused":
                return
            known = self._work.get(job.id)
            if known is None:
                self._lanes[job.kind].control(job, what)
            elif self._link is not None:
                kind = Cancel if what == "cancel" else Pause if what == "pause" else Resume
                self._link.send(kind(job.id))
            if what == "cancel":
                if known is not None:
                    del self._work[job.id]
                    with self._taking_in():
                        job.result = known[1].finish()
                job._set_state("cancelled")
            else:
                job._set_state("paused" if what == "pause" else "running" if job.total else "waiting")

    def _wait_for(self, job: Job, timeout: float | None) -> bool:
        if job.state in ENDED:
            return True
        if self._is_applying:
            raise StateError(
                f"{job.label!r} cannot be waited for by what listens to this session's events: the work waits for the "
                "listener. Start it and listen for its end."
            )
        if not self._is_inline:
            return job._ended.wait(timeout)
        end = None if timeout is None else time.monotonic() + timeout
        while job.is_active and (end is None or time.monotonic() < end):
            if job.state == "paused" or not self._pump():
                return job._ended.wait(timeout)
        return not job.is_active

    def _pump(self) -> bool:
        """Do a piece of work in this thread."""
        link = self._link
        return (link is not None and link.pump()) or any(lane.pump() for lane in self._lanes.values())

    def _opened_link(self) -> Link:
        self.require_open()
        if self._link is None:
            self._link_number += 1
            self._link = self._make_link(partial(self.hear, self._link_number), partial(self.lose, self._link_number))
        return self._link

    @property
    def _is_applying(self) -> bool:
        return bool(getattr(self._applying, "now", False))

    @contextmanager
    def _taking_in(self) -> Iterator[None]:
        before, self._applying.now = self._is_applying, True
        try:
            yield
        finally:
            self._applying.now = before

    def _note(self, change: Change) -> None:
        if not change.found and "mask" in change.what:
            self._statements.outdate(change.objects)


def _blamed(error: WorkerError, job: Job, work: InferenceJob) -> WorkerError:
    """The error of a job that the worker was on when it was lost."""
    blamed = WorkerError(f"{error} It was to {job.label}{work.by_whom()}. All that was found before is kept.")
    for note in getattr(error, "__notes__", ()):
        blamed.add_note(note)
    return blamed
