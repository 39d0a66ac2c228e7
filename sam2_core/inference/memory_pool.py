"""The mask memories that tracking reads, in slots that are reserved once and used again and again.

A memory takes a slot of a fixed size. What left the window of its object gives its slot to the next: together an
object's slots are a ring of recent frames plus its conditioning frames. Slots lie on the storage device up to a budget,
and in mapped files beyond it, so that hundreds of objects do not need to fit into memory at once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Container
from pathlib import Path

import torch

#: Slots that are reserved at a time.
CHUNK_SLOTS = 16


class MemoryPool:
    """Mask memories by object number and frame.

    Parameters
    ----------
    budget_bytes : int
        Size up to which slots lie on ``device``; further ones are in mapped files.
    device : torch.device
        Where memories are kept.
    """

    def __init__(self, budget_bytes: int, device: torch.device) -> None:
        self.budget_bytes = budget_bytes
        self.device = device
        self._slots: dict[int, dict[int, int]] = {}  # object number -> frame -> slot
        self._free: list[int] = []
        self._chunks: list[torch.Tensor] = []
        self._resident_bytes = 0
        self._folder: Path | None = None
        self._finalizer: weakref.finalize | None = None  # type: ignore[type-arg]

    @property
    def resident_bytes(self) -> int:
        """Bytes of the slots on the storage device."""
        return self._resident_bytes

    @property
    def slot_count(self) -> int:
        """How many slots were reserved."""
        return len(self._chunks) * CHUNK_SLOTS

    def put(self, number: int, frame: int, features: torch.Tensor) -> None:
        """Keep the memory (C, h, w) of an object's frame, in place of an earlier one."""
        slots = self._slots.setdefault(number, {})
        slot = slots.get(frame)
        if slot is None:
            slot = slots[frame] = self._take(features)
        self._view(slot).copy_(features.flatten(1).transpose(0, 1), non_blocking=True)

    def get(self, number: int, frame: int) -> torch.Tensor | None:
        """Return a memory as tokens (h * w, C), to be read only; None where it is not at hand."""
        slot = self._slots.get(number, {}).get(frame)
        return None if slot is None else self._view(slot)

    def has(self, number: int, frame: int) -> bool:
        """Whether a memory is at hand."""
        return frame in self._slots.get(number, {})

    def frames(self, number: int) -> list[int]:
        """List the frames of which an object's memory is at hand."""
        return list(self._slots.get(number, {}))

    def discard(self, number: int, frame: int) -> None:
        """Let go of a memory, if it is at hand."""
        slot = self._slots.get(number, {}).pop(frame, None)
        if slot is not None:
            self._free.append(slot)

    def keep_only(self, number: int, frames: Container[int]) -> None:
        """Let go of an object's memories but for some frames."""
        for frame in [frame for frame in self.frames(number) if frame not in frames]:
            self.discard(number, frame)

    def forget(self, number: int) -> None:
        """Let go of all memories of an object."""
        self._free += self._slots.pop(number, {}).values()

    def clear(self) -> None:
        """Let go of everything, slots included."""
        self._slots.clear()
        self._free.clear()
        self._chunks.clear()
        self._resident_bytes = 0
        if self._finalizer is not None:
            self._finalizer()
            self._folder = self._finalizer = None

    def _view(self, slot: int) -> torch.Tensor:
        return self._chunks[slot // CHUNK_SLOTS][slot % CHUNK_SLOTS]

    def _take(self, like: torch.Tensor) -> int:
        if not self._free:
            first = self.slot_count
            self._chunks.append(self._new_chunk((CHUNK_SLOTS, like[0].numel(), like.shape[0]), like.dtype))
            # the lowest first, and so those that are not in a file
            self._free += reversed(range(first, first + CHUNK_SLOTS))
        return self._free.pop()

    def _new_chunk(self, shape: tuple[int, int, int], dtype: torch.dtype) -> torch.Tensor:
        count = shape[0] * shape[1] * shape[2]
        size = count * dtype.itemsize
        if self._resident_bytes + size <= self.budget_bytes:
            self._resident_bytes += size
            return torch.empty(shape, dtype=dtype, device=self.device)
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="sam2-memories-"))
            self._finalizer = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        path = self._folder / f"chunk-{len(self._chunks)}.bin"
        chunk = torch.from_file(str(path), shared=True, size=count, dtype=dtype).view(shape)
        with contextlib.suppress(OSError):
            os.unlink(path)  # where the system allows it, nothing is left behind whatever happens; else close() removes
        return chunk
