"""Ways to a worker: in the thread that asks, or in one of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from sam2_core.session.worker.messages import FromWorker, Stop, ToWorker

if TYPE_CHECKING:
    from sam2_core.session.worker.inference_worker import InferenceWorker

Hear = Callable[[FromWorker], object]
#: Makes the worker, which sends its reports to what it is given. Raises what is wrong with the model or the stack.
MakeWorker = Callable[[Hear], "InferenceWorker"]
#: Seconds to wait for a thread to end.
PATIENCE = 10.0


class Link(Protocol):
    """A way to a worker; reports come to the callable it was made with."""

    @property
    def is_inline(self) -> bool:
        """Whether work is done only by :meth:`pump`."""

    def send(self, message: ToWorker) -> None:
        """Send a message; at once, whatever the worker is doing."""

    def pump(self) -> bool:
        """Do a piece of work in this thread, where the worker has none of its own; False if there is none to do."""

    def close(self) -> None:
        """End the worker."""


class InlineLink:
    """Works in the thread that asks, when it is asked to: for scripts.

    Parameters
    ----------
    make_worker : callable
    hear : callable
        Takes the worker's reports.
    """

    is_inline = True

    def __init__(self, make_worker: MakeWorker, hear: Hear) -> None:
        self._worker = make_worker(hear)

    def send(self, message: ToWorker) -> None:
        """See :class:`Link`."""
        self._worker.receive(message)

    def pump(self) -> bool:
        """See :class:`Link`."""
        return self._worker.step()

    def close(self) -> None:
        """See :class:`Link`."""
        self._worker.close()


class ThreadLink:
    """Works in a thread of this process.

    Parameters
    ----------
    make_worker : callable
        Called in the thread, so that loading a model keeps nobody waiting.
    hear : callable
        Takes the worker's reports, in the thread.
    """

    is_inline = False

    def __init__(self, make_worker: MakeWorker, hear: Hear) -> None:
        self._make_worker = make_worker
        self._hear = hear
        self._worker: InferenceWorker | None = None
        self._early: list[ToWorker] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="sam2-worker", daemon=True)
        self._thread.start()

    def send(self, message: ToWorker) -> None:
        """See :class:`Link`."""
        with self._lock:
            if self._worker is None:
                self._early.append(message)
            else:
                self._worker.receive(message)

    def pump(self) -> bool:
        """See :class:`Link`."""
        return False

    def close(self) -> None:
        """See :class:`Link`; a piece of work that is being done is waited for."""
        self.send(Stop())
        if threading.current_thread() is not self._thread:
            self._thread.join(PATIENCE)

    def _run(self) -> None:
        from sam2_core.session.worker.inference_worker import failure_of

        try:
            worker = self._make_worker(self._hear)
            with self._lock:
                self._worker = worker
                for message in self._early:
                    worker.receive(message)
            worker.run()
        except Exception as error:  # told to everybody who waits for the worker
            self._hear(failure_of(None, error))
