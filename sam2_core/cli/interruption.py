"""Ctrl-C that ends a command between two steps, so that what is done is written and readable."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from sam2_core.cli.console import messages

#: What a shell gives for a process ended by Ctrl-C: 128 plus the number of SIGINT.
INTERRUPTED = 130


class Interruption:
    """Takes Ctrl-C for a wish to stop, while it is entered; a second one ends the process at once."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._previous: Any = None

    @property
    def is_asked(self) -> bool:
        """Whether somebody wishes to stop."""
        return self._asked.is_set()

    def __enter__(self) -> Self:
        # only the main thread may handle signals; elsewhere Ctrl-C stays what it is
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._asked.is_set():
            raise KeyboardInterrupt
        self._asked.set()
        messages.print("Stopping after this step; press Ctrl-C again to stop at once.")
