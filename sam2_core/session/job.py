"""Jobs: long work that a session was asked for, and the list of them."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, overload

from psygnal import EmitLoopError, Signal

from sam2_core.errors import WaitTimeoutError

if TYPE_CHECKING:
    from sam2_core.session.training_record import TrainingRecord

JobKind: TypeAlias = Literal[
    "segment", "propagate", "estimate", "carry", "compare", "everything", "encode", "export", "train"
]
JobState: TypeAlias = Literal["waiting", "running", "paused", "done", "failed", "cancelled"]
ENDED: Final[frozenset[JobState]] = frozenset({"done", "failed", "cancelled"})
#: Jobs that have ended and are still listed.
KEPT_JOBS: Final = 100


class Job:
    """One piece of long work. Calls may come from any thread.

    Made by the ``start_…`` methods of :class:`~sam2_core.session.annotation_session.AnnotationSession`.

    Attributes
    ----------
    id : int
        From 1, in the order in which jobs were started.
    kind : {"segment", "propagate", "estimate", "carry", "compare", "everything", "encode", "export", "train"}
    label : str
        What it does, for people to read.
    state : {"waiting", "running", "paused", "done", "failed", "cancelled"}
    done, total : int
        Units of the work: frames for most kinds. `total` is 0 until it is known.
    eta_seconds : float, optional
        How long it will take from now, as far as that can be told; also before it begins.
    error : Exception, optional
        Why it failed.
    result : object
        What it came to, once it is done; see the method that started it.
    training : TrainingRecord, optional
        How a training goes.
    """

    #: Emitted with the job after each change of it, in the thread that works for it.
    changed = Signal(object)

    def __init__(self, job_id: int, kind: JobKind, label: str) -> None:
        self.id = job_id
        self.kind: JobKind = kind
        self.label = label
        self.state: JobState = "waiting"
        self.done = 0
        self.total = 0
        self.eta_seconds: float | None = None
        self.error: Exception | None = None
        self.result: Any = None
        self.training: TrainingRecord | None = None
        self._stop: Callable[[], None] | None = None
        self._control: Callable[[Job, Literal["cancel", "pause", "resume"]], None] | None = None
        self._wait: Callable[[Job, float | None], bool] | None = None
        self._ended = threading.Event()
        self._clock = _Clock()

    @property
    def is_active(self) -> bool:
        """Whether it has not ended."""
        return self.state not in ENDED

    def cancel(self) -> None:
        """Give the work up; what it has done stays. When this returns, nothing more of it will be applied."""
        if self._control is not None:
            self._control(self, "cancel")

    def stop(self) -> None:
        """End the work early, and keep what it has come to, of a training the best weights."""
        if self._stop is None:
            self.cancel()
        elif self.is_active:
            self._stop()
            self.resume()

    def pause(self) -> None:
        """Stop after the piece that is being done, until :meth:`resume`."""
        if self._control is not None:
            self._control(self, "pause")

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        if self._control is not None:
            self._control(self, "resume")

    def wait(self, timeout: float | None = None) -> Any:
        """Wait until the job has ended.

        Parameters
        ----------
        timeout : float, optional
            Seconds.

        Returns
        -------
        object
            The result; None if it was cancelled.

        Raises
        ------
        WaitTimeoutError
            It has not ended by then; it goes on.
        StateError
            Called by what listens to the session's events, which the work itself waits for.
        Exception
            Why the job failed.
        """
        has_ended = self._ended.wait(timeout) if self._wait is None else self._wait(self, timeout)
        if not has_ended:
            raise WaitTimeoutError(f"{self.label!r} has not ended after {timeout:g} seconds; it goes on.")
        if self.error is not None:
            raise self.error
        return self.result

    def __repr__(self) -> str:
        return f"<Job {self.id}: {self.label}, {self.state}, {self.done} of {self.total}>"

    # For those who run it

    def _begin(self, total: int, seconds: float | None) -> None:
        self.total = total
        if self.state == "waiting":
            self.state = "running"
            self._clock.start()
        self.eta_seconds = self.eta_seconds if seconds is None else seconds
        self._tell()

    def _advance(self, done: int, total: int) -> None:
        self.done, self.total = done, total
        if done:
            self.eta_seconds = max(0.0, self._clock.seconds / done * (total - done))
        self._tell()

    def _set_state(self, state: JobState, error: Exception | None = None) -> None:
        self.state, self.error = state, error
        if state == "paused":
            self._clock.stop()
        elif state == "running":
            self._clock.start()
        if state in ENDED:
            self._clock.stop()
            self.eta_seconds = None
            self._ended.set()
        self._tell()

    def _tell(self) -> None:
        try:
            self.changed.emit(self)
        except EmitLoopError:
            # whoever listens badly is told of as of any thread; the work and those who wait for it go on
            threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))


class _Clock:
    """Counts seconds of work, without the pauses."""

    def __init__(self) -> None:
        self._counted = 0.0
        self._since: float | None = None

    def start(self) -> None:
        if self._since is None:
            self._since = time.monotonic()

    def stop(self) -> None:
        self._counted, self._since = self.seconds, None

    @property
    def seconds(self) -> float:
        return self._counted + (0.0 if self._since is None else time.monotonic() - self._since)


class JobList(Sequence[Job]):
    """The jobs of a session, oldest first; of those that have ended the last 100."""

    #: Emitted after a job was added, or has changed its state, with that job.
    changed = Signal(object)

    def __init__(self) -> None:
        self._jobs: list[Job] = []
        self._states: dict[int, JobState] = {}
        self._lock = threading.Lock()
        self._next_id = 1

    @property
    def active(self) -> list[Job]:
        """Those that have not ended."""
        return [job for job in self if job.is_active]

    def cancel_all(self) -> None:
        """Cancel those that have not ended."""
        for job in self.active:
            job.cancel()

    @overload
    def __getitem__(self, place: int) -> Job: ...
    @overload
    def __getitem__(self, place: slice) -> list[Job]: ...
    def __getitem__(self, place: int | slice) -> Job | list[Job]:
        with self._lock:
            return self._jobs[place]

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        with self._lock:
            return iter(list(self._jobs))

    def _new(
        self,
        kind: JobKind,
        label: str,
        stop: Callable[[], None] | None = None,
        training: TrainingRecord | None = None,
    ) -> Job:
        with self._lock:
            job = Job(self._next_id, kind, label)
            job._stop, job.training = stop, training
            self._next_id += 1
            ended = [one for one in self._jobs if not one.is_active]
            for old in ended[: max(0, len(ended) - KEPT_JOBS + 1)]:
                self._jobs.remove(old)
                self._states.pop(old.id, None)
            self._jobs.append(job)
            self._states[job.id] = job.state
        job.changed.connect(self._note)
        self.changed.emit(job)
        return job

    def _note(self, job: Job) -> None:
        if self._states.get(job.id) != job.state:
            self._states[job.id] = job.state
            self.changed.emit(job)
