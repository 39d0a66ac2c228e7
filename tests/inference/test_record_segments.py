"""Files of logits: found again, dropped from the oldest on, and never confused with one another."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2_core.errors import StateError
from sam2_core.inference.record_segments import PINNED, Segments


def test_data_is_found_again_also_by_another_process(tmp_path: Path) -> None:
    segments = Segments(tmp_path, segment_bytes=100)
    places = [segments.append(bytes([n]) * 30, pinned=n % 5 == 0) for n in range(40)]
    assert [segments.read(place) for place in places] == [bytes([n]) * 30 for n in range(40)]
    segments.close()

    again = Segments(tmp_path, segment_bytes=100)
    assert [again.read(place) for place in places] == [bytes([n]) * 30 for n in range(40)]
    assert again.size == segments.size == 40 * 34
    # a new process begins a file of its own, but for the pinned one
    assert again.append(b"x", pinned=False).segment > max(place.segment for place in places)
    assert again.append(b"x", pinned=True).segment == PINNED
    again.close()


def test_the_oldest_are_dropped_and_pinned_data_stays(tmp_path: Path) -> None:
    segments = Segments(tmp_path, segment_bytes=60)
    places = [segments.append(bytes([n]) * 30, pinned=n == 0) for n in range(9)]
    assert segments.drop_oldest()
    assert [segments.holds(place) for place in places] == [True, False, False, *[True] * 6]
    assert segments.read(places[1]) is None
    while segments.drop_oldest():
        pass
    assert [segments.holds(place) for place in places] == [True, *[False] * 8]
    # numbers are not given again: an old place may not point into a new file
    later = segments.append(b"y" * 30, pinned=False)
    assert not any(segments.holds(place) for place in places[1:])
    assert segments.read(later) == b"y" * 30
    segments.close()


def test_numbers_known_from_elsewhere_are_not_given_again(tmp_path: Path) -> None:
    segments = Segments(tmp_path, segment_bytes=60)
    segments.reserve(7)
    assert segments.append(b"z", pinned=False).segment == 8
    segments.close()


def test_damage_is_reported(tmp_path: Path) -> None:
    segments = Segments(tmp_path, segment_bytes=1000)
    place = segments.append(b"logits", pinned=False)
    segments.close()
    (path,) = tmp_path.glob("logits-*.bin")
    path.write_bytes(b"Logits" + path.read_bytes()[6:])

    with pytest.raises(StateError, match="damaged at byte 0"):
        Segments(tmp_path, segment_bytes=1000).read(place)
