from __future__ import annotations

import pytest

from sam2_core.cli.byte_count import parse_bytes, show_bytes, show_seconds
from sam2_core.errors import InvalidInputError


@pytest.mark.parametrize(
    ("text", "count"),
    [("2GB", 2e9), ("500 MB", 5e8), ("1.5GiB", 1.5 * 2**30), ("1024", 1024), ("3k", 3000), ("2 Mi", 2**21), ("7b", 7)],
)
def test_sizes(text, count):
    assert parse_bytes(text, "--budget") == count


@pytest.mark.parametrize("text", ["", "GB", "-2GB", "2 GBs", "2XB", "i", "1,5GB"])
def test_sizes_that_cannot_be_understood(text):
    with pytest.raises(InvalidInputError, match="--budget"):
        parse_bytes(text, "--budget")


def test_what_is_shown():
    assert [show_bytes(count) for count in (0, 999, 1500, 8.4e6, 2.5e9, 1e12)] == [
        "0 bytes",
        "999 bytes",
        "1.5 kB",
        "8.4 MB",
        "2.5 GB",
        "1 TB",
    ]
    assert [show_seconds(seconds) for seconds in (0.1, 59, 120, 3600, 6 * 3600)] == [
        "1 s",
        "59 s",
        "2 min",
        "60 min",
        "6.0 h",
    ]
