"""What the table says of objects while they change."""

from __future__ import annotations

from typing import Any

from sam2_core.session.items import Change, SessionObject
from sam2_napari.object_rows import ObjectRows


class Growing:
    """As much of a session as the rows ask for; its object gets a mask while its frames are counted."""

    objects = (SessionObject.new(1),)

    def __init__(self) -> None:
        self.frames = [0]
        self.rows: Any = None

    def records_on(self, frame: int) -> dict[int, Any]:
        return {}

    def masked_frames(self, object_id: int) -> list[int]:
        counted = list(self.frames)
        if len(self.frames) == 1:
            self.frames.append(1)
            self.rows.outdate(Change(frozenset({"mask"}), frozenset({1}), frozenset({1}), {}))
        return counted


def test_a_mask_that_comes_while_frames_are_counted_is_counted_next_time() -> None:
    session = Growing()
    session.rows = rows = ObjectRows(session)  # type: ignore[arg-type]

    assert [row.frames for row in rows.read(0)] == [1]
    assert [row.frames for row in rows.read(0)] == [2]
