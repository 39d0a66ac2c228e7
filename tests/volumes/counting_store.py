"""A zarr store that remembers which chunks were read."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore


class CountingStore(LocalStore):
    """Counts reads of chunk keys (metadata left out) and their bytes."""

    def __init__(self, root: Any, **options: Any) -> None:
        super().__init__(root, **options)
        self.reads: Counter[str] = Counter()
        self.read_bytes = 0
        self.threads: set[str] = set()

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        found = await super().get(key, prototype, byte_range)
        if not key.endswith((".json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")):
            self.reads[key] += 1
            self.read_bytes += len(found) if found is not None else 0
            self.threads.add(threading.current_thread().name)
        return found

    def forget(self) -> None:
        """Forget what was counted."""
        self.reads.clear()
        self.read_bytes = 0
