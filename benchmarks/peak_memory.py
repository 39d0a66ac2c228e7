"""The largest memory of a process over a stretch of time."""

from __future__ import annotations

import threading

import psutil

MIB = 2**20


class Peak:
    """The largest resident memory of this process, looked at every 20 ms."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._stop = threading.Event()
        self.greatest = self.now()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def now(self) -> int:
        return int(self._process.memory_info().rss)

    def restart(self) -> None:
        self.greatest = self.now()

    def mib(self) -> int:
        self.greatest = max(self.greatest, self.now())
        return round(self.greatest / MIB)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self.greatest = max(self.greatest, self.now())
