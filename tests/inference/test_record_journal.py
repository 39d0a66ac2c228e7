"""What was written whole is read again; a torn end is cut off, whatever it looks like."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.inference.record_journal import Journal

FRAMES = st.lists(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), min_size=1, max_size=4), max_size=6)


def write(path: Path, frames: list[list[tuple[int, bytes]]]) -> list[int]:
    """Write frames and return where each ends."""
    journal = Journal(path)
    list(journal.entries())
    ends = []
    for frame in frames:
        for kind, payload in frame:
            journal.stage(kind, payload)
        journal.flush()
        ends.append(journal.size)
    journal.close()
    return ends


def read(path: Path) -> list[tuple[int, bytes]]:
    journal = Journal(path)
    found = [(entry.kind, entry.payload) for entry in journal.entries()]
    journal.close()
    return found


@given(frames=FRAMES, share=st.floats(0, 1), rubbish=st.binary(max_size=30))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_complete_frames_survive_a_torn_end(
    frames: list[list[tuple[int, bytes]]], share: float, rubbish: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "journal.bin"
    path.unlink(missing_ok=True)
    ends = write(path, frames)
    cut = int(share * path.stat().st_size)
    data = path.read_bytes()[:cut]
    path.write_bytes(data + (rubbish if cut >= 4 else b""))
    complete = [frame for frame, end in zip(frames, ends, strict=True) if end <= cut]
    expected = [entry for frame in complete for entry in frame]

    assert read(path) == expected
    # and it can be appended to
    write(path, [[(7, b"more")]])
    assert read(path) == [*expected, (7, b"more")]


def test_entries_are_found_where_they_were_said_to_be(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.bin")
    offsets = [journal.stage(1, payload) for payload in (b"one", b"twelve")]
    assert journal.size == 0
    assert journal.read(offsets[1], 6) == b"twelve"  # not written yet: it is, for this
    offsets.append(journal.stage(1, b"three"))
    journal.flush()

    assert [(entry.offset, entry.payload) for entry in journal.entries()] == [
        (offsets[0], b"one"),
        (offsets[1], b"twelve"),
        (offsets[2], b"three"),
    ]
    with pytest.raises(InvalidInputError, match="no 99 bytes"):
        journal.read(offsets[2], 99)
    journal.close()


def test_a_damaged_byte_hides_what_follows(tmp_path: Path) -> None:
    path = tmp_path / "journal.bin"
    ends = write(path, [[(1, b"first")], [(2, b"second")]])
    data = bytearray(path.read_bytes())
    data[ends[0] + 15] ^= 1
    path.write_bytes(bytes(data))

    assert read(path) == [(1, b"first")]


def test_another_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.bin"
    path.write_bytes(b"a letter to a friend")

    journal = Journal(path)
    with pytest.raises(StateError, match="no journal"):
        list(journal.entries())
    journal.close()
    assert path.read_bytes() == b"a letter to a friend"
