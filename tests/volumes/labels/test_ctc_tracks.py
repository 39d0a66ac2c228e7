from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels.ctc_tracks import TrackTable


@given(frames=st.lists(st.sets(st.integers(0, 9)), min_size=1, max_size=8), data=st.data())
def test_begin_and_end_of_every_object(frames, data, tmp_path_factory):
    table = TrackTable({3: 1})
    for index in data.draw(st.permutations(range(len(frames)))):
        table.observe(index, frames[index])
    path = tmp_path_factory.mktemp("tracks") / "res_track.txt"
    table.save(path)
    loaded = TrackTable.load(path).tracks
    assert set(loaded) == set().union(*frames) - {0}
    for object_id, track in loaded.items():
        there = [index for index, ids in enumerate(frames) if object_id in ids]
        parent = 1 if object_id == 3 and 1 in loaded else 0
        assert (track.begin, track.end, track.parent) == (min(there), max(there), parent)


@pytest.mark.parametrize("text", ["1 0 1", "1 0 1 0 5", "a 0 1 0", "1 2 1 0", "0 0 1 0", "1 0 1 0\n1 3 4 0"])
def test_what_is_no_table(tmp_path, text):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(InvalidInputError, match="line"):
        TrackTable.load(tmp_path / "a.txt")
