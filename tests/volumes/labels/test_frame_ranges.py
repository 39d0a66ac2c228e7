from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels.frame_ranges import parsed_ranges, ranges_text


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_there_and_back(chosen):
    text = ranges_text(np.array(chosen))
    assert parsed_ranges(text, len(chosen)).tolist() == chosen


def test_as_text():
    assert ranges_text(np.isin(np.arange(20), [0, 1, 2, 7, 18, 19])) == "0-2,7,18-19"
    assert ranges_text(np.zeros(3, bool)) == ""


@pytest.mark.parametrize("text", ["a", "3", "0-3", "2-1", "-1", "1-", "1 2"])
def test_something_else(text):
    if text == "1-":  # an open end is its first frame
        assert parsed_ranges(text, 3).tolist() == [False, True, False]
        return
    with pytest.raises(InvalidInputError, match="such as 0-12,15"):
        parsed_ranges(text, 3)
