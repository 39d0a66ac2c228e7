"""What the review queue knows is the same whether it was kept up to date or read anew, and only changes are read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sam2_core.session import mask_facts
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.items import MaskRecord
from sam2_core.session.mask_facts import MaskFacts
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.session.review import ReviewQueue
from sam2_core.volumes.frames import open_frames

FRAMES, SIZE, OBJECTS = 5, 16, 3


def opened(folder: Path | None = None) -> AnnotationSession:
    return AnnotationSession.create(open_frames(np.zeros((FRAMES, SIZE, SIZE), np.uint8)), folder)


@pytest.fixture
def session() -> Iterator[AnnotationSession]:
    with opened() as made:
        yield made


def square(x: int, y: int, side: int) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), bool)
    mask[y : y + side, x : x + side] = True
    return mask


def found(
    session: AnnotationSession, masks: dict[int, np.ndarray], frame: int, iou: float | None, score: float
) -> None:
    step = session.begin_results("track")
    session.add_results(step, frame, {one: (MaskPixels.cut(mask), iou, score) for one, mask in masks.items()}, "track")
    session.finish_results(step)


def suspicions(session: AnnotationSession) -> dict[tuple[int, int], dict[str, float]]:
    """What the docstring of a review item says, one mask after another."""
    expected = {}
    for one in (each.id for each in session.objects):
        records = session.records(one)
        usual = float(np.median([each.area for each in records.values() if each.area] or [1]))
        for frame, record in records.items():
            if record.locked or record.source in ("paint", "prompt"):
                continue
            reasons = {}
            beside = [records[other] for other in (frame - 1, frame + 1) if other in records]
            sure = [value for value in map(sureness, beside) if value is not None]
            own = sureness(record)
            if own is not None and sure and max(sure) - own > 0.05:
                reasons["score drops"] = max(sure) - own
            filled = [each for each in beside if each.area]
            if not record.area and len(filled) == 2:
                reasons["vanishes"] = 1.0
            if record.area and filled:
                jump = min(abs(math.log(record.area / each.area)) for each in filled)
                move = min(math.dist(centre(record), centre(each)) for each in filled) / math.sqrt(usual / math.pi)
                reasons |= {"area jumps": min(1.0, jump / math.log(4))} if jump > math.log(1.3) else {}
                reasons |= {"place jumps": min(1.0, move / 3)} if move > 0.75 else {}
            others = [session.mask(each, frame) for each in session.records_on(frame) if each != one]
            mask = session.mask(one, frame)
            share = (mask & np.any(others, axis=0)).sum() / record.area if record.area and others else 0.0
            reasons |= {"overlap": share} if share > 0.02 else {}
            disagreement = session.disagreements(one).get(frame, 0.0)
            reasons |= {"propagators disagree": disagreement} if disagreement > 0.1 else {}
            if reasons:
                expected[one, frame] = reasons
    return expected


def sureness(record: MaskRecord) -> float | None:
    if record.predicted_iou is None:
        return None
    return record.predicted_iou / (1 + math.exp(-(record.object_score or 0.0)))


def centre(record: MaskRecord) -> tuple[float, float]:
    x0, y0, x1, y1 = record.mask.box
    return (x0 + x1) / 2, (y0 + y1) / 2


STEPS = st.tuples(
    st.sampled_from(["track", "track", "track", "paint", "lock", "compare", "delete masks", "undo", "redo", "delete"]),
    st.integers(1, OBJECTS),
    st.integers(0, FRAMES - 1),
    st.tuples(st.integers(0, SIZE - 6), st.integers(0, SIZE - 6), st.integers(0, 6)),
    st.sampled_from([None, 0.5, 0.9]),
)


def do(session: AnnotationSession, step: tuple[Any, ...]) -> None:
    what, one, frame, place, iou = step
    if what in ("undo", "redo"):
        steps = [each for each in session.history[OBJECTS:] if each.is_undone == (what == "redo")]
        if steps:
            getattr(session, what)()
    elif not session.has_object(one):
        pass
    elif what == "track":
        found(session, {one: square(*place)}, frame, iou, 2.0)
    elif what == "paint":
        session.paint(one, frame, square(*place), lock=False)
    elif what == "lock" and session.record(one, frame):
        session.lock(one, frame)
    elif what == "compare":
        number = session.begin_results("compare")
        session.add_disagreements(number, frame, {one: MaskPixels.cut(square(*place))})
        session.finish_results(number)
    elif what == "delete masks":
        session.delete_masks(one, [frame])
    elif what == "delete" and frame == 0:
        session.delete_objects([one])


@pytest.mark.parametrize("few", [0, 2, 100])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=1, max_size=25))
def test_the_same_as_read_anew_and_as_is_said(few: int, steps: list[tuple[Any, ...]]) -> None:
    with pytest.MonkeyPatch.context() as patch, opened() as session:
        patch.setattr(mask_facts, "FEW_FRAMES", few)
        for _ in range(OBJECTS):
            session.add_object()
        queue = ReviewQueue(session, smallest=0)
        for step in steps:
            do(session, step)
            items = {(item.object_id, item.frame): item for item in queue.ranked()}
            expected = suspicions(session)
            assert items.keys() == expected.keys()
            for key, reasons in expected.items():
                assert items[key].reasons == pytest.approx(reasons)
                assert items[key].suspicion == pytest.approx(sum(reasons.values()))
        kept, anew = session.mask_facts.rows(), MaskFacts(session).rows()
        for name in kept.dtype.names or ():
            assert np.array_equal(kept[name], anew[name], equal_nan=kept[name].dtype.kind == "f"), name


def test_only_what_changed_is_read(session: AnnotationSession, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [session.add_object().id for _ in range(OBJECTS)]
    for frame in range(FRAMES):
        # the first two overlap, the third is far away
        masks = {ids[0]: square(0, 0, 6), ids[1]: square(4, 0, 6), ids[2]: square(10, 10, 5)}
        found(session, masks, frame, 0.9, 5.0)
    queue = ReviewQueue(session, smallest=0)
    assert {(item.object_id, item.frame) for item in queue.ranked()} == {
        (one, f) for one in ids[:2] for f in range(FRAMES)
    }
    frames: list[int] = []
    pixels: list[Any] = []
    records_on, read = session.records_on, session.pixels
    monkeypatch.setattr(session, "records_on", lambda frame: frames.append(frame) or records_on(frame))
    monkeypatch.setattr(session, "pixels", lambda mask: pixels.append(mask.box) or read(mask))

    queue.ranked()
    assert (frames, pixels) == ([], [])
    found(session, {ids[2]: square(9, 9, 5)}, 2, 0.9, 5.0)
    frames.clear()
    queue.ranked()
    assert set(frames) == {2}
    assert pixels == [], "nothing lies near it"
    session.delete_masks(ids[0], [3])
    frames.clear()
    queue.ranked()
    assert set(frames) == {3}
    assert (ids[1], 3) not in {(item.object_id, item.frame) for item in queue.ranked()}
    session.undo()
    session.undo()
    frames.clear()
    assert len(queue.ranked()) == 2 * FRAMES
    assert set(frames) == {2, 3}


def test_what_another_process_writes_is_seen(tmp_path: Path) -> None:
    with opened(tmp_path / "s") as session:
        one = session.add_object().id
        stack = open_frames(np.zeros((FRAMES, SIZE, SIZE), np.uint8))
        with AnnotationSession.open(tmp_path / "s", stack, read_only=True) as reader:
            queue = ReviewQueue(reader)
            assert queue.ranked() == []
            for frame, side in enumerate((3, 3, 8, 3, 3)):
                found(session, {one: square(4, 4, side)}, frame, 0.9, 5.0)
            assert [item.frame for item in queue.ranked()] == [2]
