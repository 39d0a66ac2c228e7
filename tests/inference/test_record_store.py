"""What the store says when it cannot write, and that it goes on afterwards."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
import torch

from sam2_core.errors import WriteError
from sam2_core.inference.frame_record import FrameRecord
from sam2_core.inference.record_store import EntryKind, RecordStore


def record(value: float) -> FrameRecord:
    logits = torch.full((1, 1, 6, 7), value)
    return FrameRecord(
        mask_logits=logits,
        mask=logits > 0,
        object_pointer=torch.full((1, 4), value),
        object_score_logits=torch.tensor([[value]]),
        predicted_iou=torch.tensor([0.5]),
        from_prompt=False,
    )


class FullDisk:
    """Stands for an open file on a disk that has room for a few bytes only."""

    def __init__(self, file: Any, room: int) -> None:
        self._file, self._room = file, room

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: Any) -> int:
        if self._room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._file.write(data[: self._room])
        self._room -= written
        return int(written)


def test_a_full_disk_is_reported_and_nothing_written_is_lost(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    store.stage_meta({})
    first = store.write(0, 0, 1, record(1.0), pinned=False)
    store.flush()

    journal = store._journal._file
    store._journal._file = FullDisk(journal, room=20)  # type: ignore[assignment]
    second = store.write(0, 1, 1, record(2.0), pinned=False)
    with pytest.raises(WriteError, match="No space left on device"):
        store.flush()
    store._journal._file = journal
    store.flush()  # there is room again
    number = first.logits.segment
    file = store._segments._open[number]
    store._segments._open[number] = FullDisk(file, room=5)  # type: ignore[assignment]
    with pytest.raises(WriteError, match="make room"):
        store.write(0, 2, 1, record(3.0), pinned=False)
    store._segments._open[number] = file
    fourth = store.write(0, 3, 1, record(4.0), pinned=False)
    store.close()

    again = RecordStore(tmp_path)
    found = [again.parse_record(entry) for entry in again.entries() if entry.kind == EntryKind.RECORD]
    assert [(frame, ref) for _, frame, _, ref in found] == [(0, first), (1, second), (3, fourth)]
    values = [again.read(ref) for *_, ref in found]
    assert [float(each.mask_logits[0, 0, 0, 0]) for each in values if each.mask_logits is not None] == [1.0, 2.0, 4.0]
    again.close()


def test_what_is_read_from_disk_is_what_was_written(tmp_path: Path) -> None:
    store = RecordStore(tmp_path, quota_bytes=10**6)
    refs = [store.write(0, frame, 1, record(frame - 2.5), pinned=frame % 2 == 0) for frame in range(6)]
    store.forget_cached()
    for frame, ref in enumerate(refs):
        found = store.read(ref)
        assert torch.equal(found.mask_logits, torch.full((1, 1, 6, 7), frame - 2.5))  # type: ignore[arg-type]
        assert torch.equal(store.read_pointer(ref), found.object_pointer)
    assert store.size >= sum(path.stat().st_size for path in tmp_path.glob("*.bin"))
    store.close()
