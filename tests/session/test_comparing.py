"""A second propagator's opinion: told as scores, without a mask being changed, and ranked in the review queue."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from sam2_core.errors import PluginError, StateError
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.inference_jobs import Statements
from sam2_core.session.items import Change, MaskRecord
from sam2_core.session.journal import Key
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.session.review import ReviewItem, ReviewQueue
from sam2_core.session.session_state import MASK
from sam2_core.session.worker.inference_worker import InferenceWorker, WorkerOptions
from sam2_core.session.worker.messages import Cancel, Finished, FrameFound, FromWorker, Propagate, Segment
from tests.session.job_scene import PATIENCE, Gate, new_session, predictor

FRAMES = 6


@pytest.fixture
def session() -> Iterator[AnnotationSession]:
    with new_session(count=FRAMES) as made:
        yield made


def tracked(session: AnnotationSession, x: float = 30, y: float = 20) -> int:
    one = session.add_object()
    session.add_points(one.id, 0, (x, y))
    session.segment(one.id, 0)
    for _ in session.propagate([one.id], propagator="forward"):
        pass
    return one.id


def put(session: AnnotationSession, one: int, frame: int, mask: np.ndarray) -> None:
    """A mask as if it had been tracked."""
    pixels = MaskPixels.cut(mask)
    (reference,) = session._keep_pixels([pixels])
    record = MaskRecord(reference, "track", pixels.area, predicted_iou=0.9, object_score=8.0)
    session._do("track", [(Key(MASK, one, frame), record.document())])


def disagreeing(session: AnnotationSession) -> list[ReviewItem]:
    items = [item for item in ReviewQueue(session).ranked() if "propagators disagree" in item.reasons]
    return sorted(items, key=lambda item: item.frame)


def masks(session: AnnotationSession) -> list[dict[int, MaskRecord]]:
    return [session.records_on(frame) for frame in range(FRAMES)]


def test_scores_say_where_two_propagators_disagree(session: AnnotationSession) -> None:
    one, two = tracked(session), tracked(session, 60, 40)
    right = session.mask(one, 3)
    wrong = right & (np.arange(right.shape[1]) % 2 == 0)
    put(session, one, 3, wrong)
    before, heard = masks(session), list[Change]()
    session.changed.connect(heard.append)

    job = session.start_compare(propagator="forward")

    assert (job.kind, job.state) == ("compare", "done")
    assert sorted(job.result) == list(range(FRAMES))
    assert masks(session) == before
    assert session.history[-1].label == "compare 2 objects"
    expected = 1 - np.count_nonzero(right & wrong) / np.count_nonzero(right | wrong)
    assert session.disagreements(one) == pytest.approx({1: 0, 2: 0, 3: expected, 4: 0, 5: 0}, abs=1e-4)
    assert session.disagreements(two) == dict.fromkeys(range(1, FRAMES), 0.0)
    assert {what for change in heard for what in change.what} == {"disagreement"}
    assert {frame for change in heard for frame in change.frames} == set(range(1, FRAMES))


def test_the_queue_ranks_by_it_until_the_mask_is_another(session: AnnotationSession) -> None:
    one = tracked(session)
    put(session, one, 3, ~session.mask(one, 3))
    assert disagreeing(session) == []

    session.start_compare(propagator="forward")

    (item,) = disagreeing(session)
    assert ReviewQueue(session).next() == item
    assert (item.object_id, item.frame) == (one, 3)
    assert item.reasons["propagators disagree"] == session.disagreements(one)[3] == 1.0
    session.undo()
    assert session.disagreements(one) == {}
    session.redo()
    put(session, one, 3, session.mask(one, 2))
    assert 3 not in session.disagreements(one), "another mask than the one that was compared"


def test_accept_and_correct_work_on_it(session: AnnotationSession) -> None:
    one = tracked(session)
    for frame in (2, 4):
        put(session, one, frame, ~session.mask(one, frame))
    session.start_compare(propagator="forward")
    queue = ReviewQueue(session)
    first, second = disagreeing(session)
    assert (first.frame, second.frame) == (2, 4)
    queue.accept(first)
    assert disagreeing(session) == [second]

    frames = queue.correct(second, (30, 20)).wait()

    assert second.frame in frames
    assert disagreeing(session) == []


def test_the_network_goes_on_from_the_masks_of_the_session() -> None:
    """What it remembers of the second opinion is no part of what it tracks next."""
    labels = []
    for compares in (False, True):
        with new_session(count=FRAMES) as session:
            one = tracked(session)
            # either way the network has forgotten what it has found
            session.undo()
            session.redo()
            if compares:
                session.start_compare()
                assert session.disagreements(one).keys() == set(range(1, FRAMES))
            session.add_points(one, 3, (33, 22))
            session.segment(one, 3)
            for _ in session.propagate([one], start=3):
                pass
            session.undo()
            for _ in session.propagate([one], start=3):
                pass
            labels.append([session.labels(frame) for frame in range(FRAMES)])
    assert np.array_equal(labels[0], labels[1])


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_nothing_is_kept_of_a_trial_during_which_somebody_clicked(
    session: AnnotationSession, is_cancelled: bool
) -> None:
    one = tracked(session)
    statements = Statements(session)
    sent: list[FromWorker] = []
    worker = InferenceWorker(
        predictor(), session.stack, sent.append, WorkerOptions(encodes_ahead=False, measures=False)
    )
    worker.receive(Propagate(1, (statements.of(one, is_trial=True),), (one,), "forward"))
    worker.receive(Segment(2, 0, statements.of(one), (one,)))
    while worker.step():
        if is_cancelled and any(isinstance(report, FrameFound) and report.job == 1 for report in sent):
            worker.receive(Cancel(1))

    assert {report.job for report in sent if isinstance(report, Finished)} == {1, 2}
    found = sum(isinstance(report, FrameFound) and report.job == 1 for report in sent)
    assert found == (1 if is_cancelled else FRAMES)
    told = worker._lines.of(None).told
    told.hear([statements.of(one)])
    assert told.must_forget(one)
    worker.close()


def test_a_deleted_object_takes_its_scores_along(session: AnnotationSession) -> None:
    one = tracked(session)
    session.start_compare()
    known = session.disagreements(one)
    assert known
    session.delete_objects([one])
    assert session.disagreements(one) == {}
    session.undo()
    assert session.disagreements(one) == known


def test_nothing_comes_in_once_it_is_cancelled() -> None:
    gate = Gate(predictor())
    session = new_session(worker="thread", count=FRAMES)
    session.worker_options = {"encodes_ahead": False, "measures": False, "feature_memory_bytes": 0}
    try:
        one = session.add_object().id
        session.add_points(one, 0, (30, 20))
        session.start_propagate([one]).wait(PATIENCE)
        gate.close()
        job = session.start_compare([one])
        gate.wait_for_arrival()
        assert session.undo() == "compare an object"
        gate.open()
        assert job.state == "cancelled"
        session.start_segment(one, 0).wait(PATIENCE)
        assert session.disagreements(one) == {}
    finally:
        gate.open()
        session.close()
        gate.remove()


def test_what_cannot_be_compared(session: AnnotationSession) -> None:
    with pytest.raises(StateError, match="nothing to track"):
        session.start_compare()
    one = session.add_object()
    session.add_points(one.id, 0, (30, 20))
    with pytest.raises(StateError, match="nothing to compare"):
        session.start_compare()
    with pytest.raises(PluginError):
        session.start_compare([one.id], propagator="no-such")
    assert len(session.history) == 2
