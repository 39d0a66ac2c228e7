"""Reads tiles in a thread, the ones asked for last first, so that a slow disk holds up no cell and no click."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

#: Which request: (view, id).
RequestKey: TypeAlias = tuple[str, int]


class TileThread:
    """Does pieces of work one after another, the newest first. The thread ends when there is nothing to do."""

    def __init__(self) -> None:
        self._waiting: dict[RequestKey, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self._is_running = False
        self._is_closed = False

    def put(self, key: RequestKey, work: Callable[[], None]) -> None:
        """Put work in; it must raise nothing."""
        with self._lock:
            if self._is_closed:
                return
            self._waiting[key] = work
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="sam2-jupyter-tiles", daemon=True).start()

    def drop(self, key: RequestKey) -> bool:
        """Leave work out; False if it has begun, or there is none."""
        with self._lock:
            return self._waiting.pop(key, None) is not None

    def close(self) -> None:
        """Leave everything out."""
        with self._lock:
            self._is_closed = True
            self._waiting.clear()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_running = False
                    return
                _, work = self._waiting.popitem()
            work()
