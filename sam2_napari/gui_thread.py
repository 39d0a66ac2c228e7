"""Getting things done in the thread of the interface, whichever thread they come from."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from qtpy.QtCore import QObject, Qt, QTimer, Signal


class GuiThread(QObject):
    """Calls functions in the thread it was made in, which has to be that of the interface.

    Parameters
    ----------
    parent : QObject, optional
        With it this goes too, and so does what has not been called yet.
    """

    _posted = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._is_open = True
        self._posted.connect(self._call, Qt.ConnectionType.QueuedConnection)

    @property
    def is_open(self) -> bool:
        """Whether anything is still called."""
        return self._is_open

    def call(self, function: Callable[[], object]) -> None:
        """Call a function as soon as the interface comes to it; from any thread."""
        if self._is_open:
            self._posted.emit(function)

    def close(self) -> None:
        """Call nothing any more."""
        self._is_open = False

    def _call(self, function: Callable[[], object]) -> None:
        if self._is_open:
            function()


class Gathered(QObject):
    """Calls a function in the thread of the interface, once for all that came within a short time.

    Nothing is called once the way there is closed, not even what was asked before.

    Parameters
    ----------
    gui : GuiThread
    function : callable
    pause_ms : int
        At least so much time lies between two calls; the first one comes at once.
    """

    def __init__(self, gui: GuiThread, function: Callable[[], object], pause_ms: int) -> None:
        super().__init__(gui)
        self._gui = gui
        self._function = function
        self._lock = threading.Lock()
        self._is_asked = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(pause_ms)
        self._timer.timeout.connect(self._rested)

    def ask(self) -> None:
        """Ask for a call; from any thread."""
        with self._lock:
            if self._is_asked:
                return
            self._is_asked = True
        self._gui.call(self._arrived)

    def _arrived(self) -> None:
        if not self._timer.isActive():
            self._run()

    def _rested(self) -> None:
        if self._is_asked:
            self._run()

    def _run(self) -> None:
        if not self._gui.is_open:
            # the timer ends after it
            return
        with self._lock:
            self._is_asked = False
        self._timer.start()
        self._function()


class OrderedWork:
    """Does things one after the other in a thread of its own, so that the interface waits for no disk.

    Parameters
    ----------
    gui : GuiThread
    failed : callable
        Gets what was raised, in the thread of the interface.
    """

    def __init__(self, gui: GuiThread, failed: Callable[[Exception], object]) -> None:
        self._gui = gui
        self._failed = failed
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="sam2-napari")

    def do(self, function: Callable[[], Any], then: Callable[[Any], object] | None = None) -> Future[Any] | None:
        """Do something after all that was asked before.

        Parameters
        ----------
        function : callable
            Done in the thread of this.
        then : callable, optional
            Gets what it returned, in the interface's thread.
        """

        def work() -> Any:
            try:
                result = function()
            except Exception as error:
                self._gui.call(lambda error=error: self._failed(error))  # type: ignore[misc]
                return None
            if then is not None:
                self._gui.call(lambda: then(result))
            return result

        try:
            return self._executor.submit(work)
        except RuntimeError:
            # it was closed: nobody waits for this any more
            return None

    def close(self, last: Callable[[], object] | None = None) -> Future[Any] | None:
        """Take nothing more, finish what was asked, and do one last thing; returns it without waiting for it."""
        done = None if last is None else self.do(last)
        self._executor.shutdown(wait=False)
        return done
