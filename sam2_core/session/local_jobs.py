"""Jobs that need no inference worker: export and training. They run in a thread of their own, one after another."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sam2_core.session.job import Job

#: Told how much is done of how much; waits while the job is paused, raises :class:`GivenUpError` once it is cancelled.
Progress: TypeAlias = Callable[[int, int], None]
#: Does the work of a job, calls its progress now and then, and returns the result.
Work: TypeAlias = Callable[[Progress], Any]


class GivenUpError(Exception):
    """Raised within local work whose job was cancelled; it passes through the work, which cleans up after itself."""


@dataclass(eq=False)
class LocalTask:
    """Work for a job."""

    job: Job
    work: Work
    discard: Callable[[], None] | None = None
    may_go_on: threading.Event = field(default_factory=threading.Event)
    is_cancelled: bool = False


class LocalLane:
    """Does local jobs one after another.

    Parameters
    ----------
    report : callable
        Told the job and (done, total); or, once it is over, None with the result or the error. Returns whether the job
        had not been cancelled before.
    is_inline : bool
        Whether the work is done by :meth:`pump` rather than in a thread.
    """

    def __init__(
        self, report: Callable[[Job, tuple[int, int] | None, Any, Exception | None], bool], is_inline: bool
    ) -> None:
        self._report = report
        self._is_inline = is_inline
        self._tasks: deque[LocalTask] = deque()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self, job: Job, work: Work, discard: Callable[[], None] | None = None) -> None:
        """Put work in; `discard` takes back what it has left, where it was cancelled at its very end."""
        task = LocalTask(job, work, discard)
        task.may_go_on.set()
        with self._lock:
            self._tasks.append(task)
            if not self._is_inline and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sam2-local-jobs", daemon=True)
                self._thread.start()

    def control(self, job: Job, what: str) -> None:
        """Cancel, pause or resume a job."""
        task = next((task for task in list(self._tasks) if task.job is job), None)
        if task is None:
            return
        task.is_cancelled = task.is_cancelled or what == "cancel"
        if what == "pause":
            task.may_go_on.clear()
        else:
            task.may_go_on.set()

    def pump(self) -> bool:
        """Do the next job in this thread, where there is no other; False if there is none to do."""
        if not self._is_inline or not self._tasks:
            return False
        self._do(self._tasks[0])
        return True

    def close(self, patience: float) -> None:
        """Cancel what is left, and wait so many seconds at most for what is being done."""
        for task in list(self._tasks):
            self.control(task.job, "cancel")
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(patience)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._tasks:
                    self._thread = None
                    return
                task = self._tasks[0]
            self._do(task)

    def _do(self, task: LocalTask) -> None:
        def progress(done: int, total: int) -> None:
            self._report(task.job, (done, total), None, None)
            task.may_go_on.wait()
            if task.is_cancelled:
                raise GivenUpError

        result, error, is_given_up = None, None, False
        try:
            task.may_go_on.wait()
            result = None if task.is_cancelled else task.work(progress)
        except GivenUpError:
            is_given_up = True
        except Exception as raised:  # delivered with the job
            error = raised
        self._tasks.remove(task)
        is_kept = not is_given_up and self._report(task.job, None, result, error)
        if not is_kept and task.discard is not None:
            task.discard()
