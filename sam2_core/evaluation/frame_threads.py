"""Frames that are compared several at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeAlias, TypeVar

from numpy.typing import NDArray

#: Predicted and true labels (y, x) of each frame; 0 is background.
Frames: TypeAlias = Iterable[tuple[NDArray[Any], NDArray[Any]]]

#: Frames that are compared at the same time, at most.
THREADS: Final = 8

Result = TypeVar("Result")


def frame_by_frame(compare: Callable[[NDArray[Any], NDArray[Any]], Result], frames: Frames) -> Iterator[Result]:
    """Compare each frame by itself, several at a time; a few frames are held at most.

    Parameters
    ----------
    compare : callable
        Gets a frame's predicted and true labels (y, x); called from several threads.
    frames : iterable of (ndarray, ndarray)
        Read in order, by the caller's thread.

    Yields
    ------
    object
        What was returned for each frame, in order.
    """
    count = min(THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(count, thread_name_prefix="sam2-frames") as threads:
        running: deque[Future[Result]] = deque()
        try:
            for predicted, truth in frames:
                running.append(threads.submit(compare, predicted, truth))
                if len(running) > count:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for each in running:
                each.cancel()
