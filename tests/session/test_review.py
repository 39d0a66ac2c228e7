"""The review queue finds what was made to look wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sam2_core.errors import InvalidInputError
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.items import MaskRecord
from sam2_core.session.journal import Key
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.session.review import ReviewQueue
from sam2_core.session.session_state import MASK
from sam2_core.volumes.frames import open_frames

SIZE = 40


@pytest.fixture
def session(tmp_path: Path) -> Iterator[AnnotationSession]:
    with AnnotationSession.create(open_frames(np.zeros((20, SIZE, SIZE), np.uint8)), tmp_path / "s") as opened:
        yield opened


def disc(x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2 <= radius**2)


def tracked(
    session: AnnotationSession, object_id: int, frame: int, mask: np.ndarray, *, iou: float = 0.9, score: float = 8.0
) -> None:
    pixels = MaskPixels.cut(mask)
    (reference,) = session._keep_pixels([pixels])
    record = MaskRecord(reference, "track", pixels.area, predicted_iou=iou, object_score=score)
    session._do("track", [(Key(MASK, object_id, frame), record.document())])


def calm(session: AnnotationSession, x: float = 12, frames: int = 20) -> int:
    """An object that is tracked without any trouble."""
    one = session.add_object()
    for frame in range(frames):
        tracked(session, one.id, frame, disc(x, 20, 6))
    return one.id


def worst(session: AnnotationSession) -> tuple[int, int, set[str]]:
    item = ReviewQueue(session).next()
    assert item is not None
    return item.object_id, item.frame, set(item.reasons)


def test_nothing_to_look_at(session: AnnotationSession) -> None:
    calm(session)

    assert ReviewQueue(session).next() is None
    assert ReviewQueue(session).ranked() == []


def test_the_end_of_an_object_is_no_reason(session: AnnotationSession) -> None:
    one = calm(session, frames=10)
    for frame in range(10, 20):
        tracked(session, one, frame, np.zeros((SIZE, SIZE), bool), iou=0.9)

    assert ReviewQueue(session).ranked() == []


def test_a_score_that_drops(session: AnnotationSession) -> None:
    one = calm(session)
    tracked(session, one, 7, disc(12, 20, 6), iou=0.4)

    assert worst(session) == (one, 7, {"score drops"})


def test_an_object_that_seems_gone(session: AnnotationSession) -> None:
    one = calm(session)
    tracked(session, one, 7, disc(12, 20, 6), score=-2.0)

    assert worst(session) == (one, 7, {"score drops"})


def test_an_area_that_jumps(session: AnnotationSession) -> None:
    one = calm(session)
    tracked(session, one, 9, disc(12, 20, 12))

    assert worst(session) == (one, 9, {"area jumps"})


def test_a_mask_on_another_cell(session: AnnotationSession) -> None:
    one = calm(session)
    tracked(session, one, 11, disc(32, 20, 6))

    assert worst(session) == (one, 11, {"place jumps"})


def test_a_gap(session: AnnotationSession) -> None:
    one = calm(session)
    tracked(session, one, 4, np.zeros((SIZE, SIZE), bool))

    assert worst(session) == (one, 4, {"vanishes"})


def test_overlap_needs_pixels_in_common_not_boxes(session: AnnotationSession) -> None:
    calm(session, x=12)
    second = calm(session, x=30)
    triangle = np.tril(np.ones((SIZE, SIZE), bool))
    other = session.add_object()
    tracked(session, other.id, 3, ~triangle & disc(21, 20, 30) & ~disc(12, 20, 6) & ~disc(30, 20, 6))
    assert ReviewQueue(session).ranked() == []

    tracked(session, second, 5, disc(16, 20, 6))

    assert {(item.frame, "overlap" in item.reasons) for item in ReviewQueue(session).ranked()} == {(5, True)}


def test_what_a_person_has_seen_is_left_out(session: AnnotationSession) -> None:
    one = calm(session)
    tracked(session, one, 9, disc(12, 20, 12))
    tracked(session, one, 15, disc(12, 20, 12))
    assert [item.frame for item in ReviewQueue(session).ranked()] == [9, 15]

    session.lock(one, 9)
    session.paint(one, 15, disc(12, 20, 12), lock=False)

    assert ReviewQueue(session).ranked() == []


def test_the_worst_comes_first(session: AnnotationSession) -> None:
    one = calm(session)
    tracked(session, one, 3, disc(12, 20, 6), iou=0.5)
    tracked(session, one, 12, disc(32, 20, 12), iou=0.2)

    frames = [item.frame for item in ReviewQueue(session).ranked()]

    assert frames == [12, 3]
    assert [item.frame for item in ReviewQueue(session).ranked(1)] == [12]


def test_a_threshold_that_is_none(session: AnnotationSession) -> None:
    with pytest.raises(InvalidInputError, match="0 or above"):
        ReviewQueue(session, smallest=-1)
