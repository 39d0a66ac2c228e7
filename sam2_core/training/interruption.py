"""Signals that end a training after the step it is in."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def stopping_on_signals(stop: Callable[[str], None]) -> Iterator[None]:
    """Let signals end the training after the step; in other threads than the main one they are left alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = [name for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]
    before: dict[int, Any] = {}

    def handle(number: int, frame: Any) -> None:
        stop(f"received {signal.Signals(number).name}")
        # the second one ends it at once
        signal.signal(number, before[number] or signal.SIG_DFL)

    for name in names:
        number = getattr(signal, name)
        before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
