"""SlabCache: pieces of a volume, each read once, a bounded number of bytes kept, some read ahead."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any

from numpy.typing import NDArray

# two readers keep the next piece coming while one waits for the disk or the network
READER_THREADS = 2

Loader = Callable[[], NDArray[Any]]


class SlabCache:
    """Arrays by key, least recently used ones dropped first.

    Safe to use from several threads: whoever asks for a piece that is being read waits for it, so that none is read
    twice.

    Parameters
    ----------
    budget_bytes : int
        What is kept at most, one piece excepted.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self._lock = threading.Lock()
        self._slabs: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()
        self._size = 0
        self._pending: dict[Hashable, Future[NDArray[Any]]] = {}
        self._threads: ThreadPoolExecutor | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes kept now."""
        return self._size

    def peek(self, key: Hashable) -> NDArray[Any] | None:
        """Return a piece that is there already."""
        with self._lock:
            slab = self._slabs.get(key)
            if slab is not None:
                self._slabs.move_to_end(key)
            return slab

    def get(self, key: Hashable, load: Loader) -> NDArray[Any]:
        """Return a piece, read with `load` unless it is there or on its way.

        An error of `load` is raised here and forgotten: asking again reads again.
        """
        with self._lock:
            slab = self._slabs.get(key)
            if slab is not None:
                self._slabs.move_to_end(key)
                return slab
            waiting = self._pending.get(key)
            if waiting is None or waiting.cancel():
                # nobody has begun: read it here
                future: Future[NDArray[Any]] = Future()
                future.set_running_or_notify_cancel()
                self._pending[key] = future
                waiting = None
        if waiting is not None:
            try:
                return waiting.result()
            except CancelledError:
                return self.get(key, load)
        try:
            slab = self._loaded(key, load)
        except BaseException as error:
            future.set_exception(error)
            raise
        future.set_result(slab)
        return slab

    def read_ahead(self, wanted: Iterable[tuple[Hashable, Loader]]) -> None:
        """Begin to read pieces in the background; what was to come before and is not wanted any more is called off."""
        pieces = dict(wanted)
        with self._lock:
            for key, future in list(self._pending.items()):
                if key not in pieces and future.cancel():
                    del self._pending[key]
            if self._threads is None:
                self._threads = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="sam2-slabs")
            for key, load in pieces.items():
                if key not in self._slabs and key not in self._pending:
                    self._pending[key] = self._threads.submit(self._loaded, key, load)

    def put(self, key: Hashable, slab: NDArray[Any]) -> None:
        """Keep a piece."""
        with self._lock:
            self._keep(key, slab)

    def close(self) -> None:
        """Stop reading ahead and drop everything."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=True, cancel_futures=True)
        with self._lock:
            self._slabs.clear()
            self._pending.clear()
            self._size = 0

    def _loaded(self, key: Hashable, load: Loader) -> NDArray[Any]:
        try:
            slab = load()
        except BaseException:
            with self._lock:
                self._pending.pop(key, None)
            raise
        with self._lock:
            self._pending.pop(key, None)
            self._keep(key, slab)
        return slab

    def _keep(self, key: Hashable, slab: NDArray[Any]) -> None:
        slab.setflags(write=False)
        replaced = self._slabs.pop(key, None)
        self._size += slab.nbytes - (replaced.nbytes if replaced is not None else 0)
        self._slabs[key] = slab
        while self._size > self.budget_bytes and len(self._slabs) > 1:
            _, dropped = self._slabs.popitem(last=False)
            self._size -= dropped.nbytes
