from __future__ import annotations

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels import LabelLayout
from sam2_core.volumes.labels.frame_journal import FrameJournal

LAYOUT = LabelLayout(200, (3, 4), "z", np.dtype(np.uint16))


def test_a_line_that_a_kill_cut_short_does_not_count(tmp_path):
    journal = FrameJournal(tmp_path / "a.frames")
    journal.create(LAYOUT, {"model": "tiny"})
    for index in (3, 0, 150):
        journal.append(index)
    journal.path.write_bytes(journal.path.read_bytes()[:-2])  # "150\n" is now "15"
    layout, metadata, written = journal.read()
    assert (layout, metadata) == (LAYOUT, {"model": "tiny"})
    assert np.flatnonzero(written).tolist() == [0, 3]


@pytest.mark.parametrize("text", ["", "{}\n", "not json\n", '{"length": 2}\n1\n'])
def test_something_else(tmp_path, text):
    (tmp_path / "a.frames").write_text(text)
    with pytest.raises(InvalidInputError, match="overwrite=True"):
        FrameJournal(tmp_path / "a.frames").read()
