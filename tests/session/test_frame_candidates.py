"""Everything on a frame, chosen anew without the network."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import numpy as np
import pytest

from sam2_core import SAM2AutomaticMaskGenerator
from sam2_core.errors import InvalidInputError
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.frame_candidates import USUAL, FrameCandidates
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.session.worker.messages import Candidate, CandidatesFound, MaskData
from tests.session.job_scene import PATIENCE, frames, new_session

OPTIONS = {"points_per_side": 3, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.0, "box_nms_thresh": 0.95}
#: Predicted IoU and stability of drawn candidates; the second half are near-duplicates of the first, somewhat worse.
SCORES = [(0.95, 0.5), (0.9, 0.9), (0.85, 0.95), (0.7, 0.99), (0.6, 0.6), (0.55, 0.9), (0.94, 0.9), (0.5, 0.95)]
FRAME = 1


@pytest.fixture
def session() -> Iterator[AnnotationSession]:
    """Without a network."""
    with new_session(model=None) as made:
        yield made


def drawn(scores: list[tuple[float, float]], places: list[tuple[int, int]], overlap: float) -> FrameCandidates:
    """Squares with their upper left corners (y, x) there."""
    height, width = frames(1).shape[1:3]
    every = []
    for (iou, stability), (top, left) in zip(scores, places, strict=True):
        mask = np.zeros((height, width), bool)
        mask[top : top + 9, left : left + 9] = True
        every.append(Candidate(MaskData.of(MaskPixels.cut(mask)), iou, 3.0, stability, (0, 0, width, height)))
    options = {"pred_iou_thresh": 0.4, "stability_score_thresh": 0.4, "box_nms_thresh": overlap}
    return FrameCandidates.of(CandidatesFound(1, FRAME, tuple(every)), options)


@pytest.fixture
def candidates() -> FrameCandidates:
    """Squares in two rows; each of the last two lies on one of the first two."""
    places = [(2 + 12 * (place // 3), 2 + 12 * (place % 3)) for place in range(6)]
    return drawn(SCORES, [*places, (3, 2), (3, 14)], 0.5)


def masks(session: AnnotationSession) -> list[bytes]:
    return [session.mask(one.id, FRAME).tobytes() for one in session.objects]


@pytest.mark.parametrize("worker", [None, "process"])
def test_a_choice_is_what_a_run_with_these_thresholds_finds(worker: str | None) -> None:
    with new_session(worker=worker) as session:
        candidates = session.start_candidates(FRAME, **OPTIONS).wait(PATIENCE)
        assert session.objects == []
        assert session.history == []
        middle = {
            "pred_iou_thresh": float(np.quantile(candidates.predicted_ious, 0.4)) + 1e-4,
            "stability_score_thresh": float(np.quantile(candidates.stability_scores, 0.2)) + 1e-4,
        }
        for thresholds in ({"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0}, middle):
            ids = session.add_candidates(candidates, **thresholds)
            assert ids == [one.id for one in session.objects]
            of_candidates = masks(session)
            session.undo()
            session.start_everything(FRAME, **{**OPTIONS, **thresholds}).wait(PATIENCE)
            assert of_candidates == masks(session)
            assert [step.label for step in session.history] == ["segment everything on frame 1"]
            session.undo()


def test_a_better_mask_that_does_not_pass_hides_no_other(candidates: FrameCandidates) -> None:
    assert candidates.choose() == [0, 1, 2, 3, 4, 5]
    assert candidates.choose(0.8) == [0, 1, 2]
    # 6 lies on 0 and is somewhat worse; 7 on 1
    assert candidates.choose(None, 0.8) == [6, 1, 2, 3, 5]
    assert candidates.choose(0.8, 0.92) == [2]
    assert candidates.choose(0.99) == []


def test_what_two_tiles_found_is_one_object() -> None:
    height, width = frames(1).shape[1:3]
    mask = np.zeros((height, width), bool)
    mask[4:20, 20:36] = True
    whole, cut_off = MaskPixels.cut(mask), MaskPixels.cut(mask[:, :34])
    left, right = (0, 0, 34, height), (14, 0, width, height)
    every = [Candidate(MaskData.of(pixels), 0.9, 3.0, 0.99, crop) for pixels, crop in ((cut_off, left), (whole, right))]
    found = FrameCandidates.of(CandidatesFound(1, FRAME, tuple(every)), {})
    assert found.choose() == [0]
    alone = FrameCandidates.of(CandidatesFound(1, FRAME, tuple(every[1:])), {})
    assert alone.choose() == [0]


def test_another_choice_is_one_step(session: AnnotationSession, candidates: FrameCandidates) -> None:
    first = session.add_candidates(candidates)
    assert first == [1, 2, 3, 4, 5, 6]
    before = masks(session)
    second = session.add_candidates(candidates, stability_score_thresh=0.8, replaces=first)

    # those that pass both are the same objects
    assert second == [2, 3, 4, 6, 7]
    assert second == [one.id for one in session.objects]
    session.undo()
    assert masks(session) == before
    session.redo()
    assert [one.id for one in session.objects] == second
    # what passes again comes again
    third = session.add_candidates(candidates, replaces=second)
    assert sorted(masks(session)) == sorted(before)
    assert session.add_candidates(candidates, replaces=third) == third
    assert len(session.history) == 3
    # some only go
    fewer = session.add_candidates(candidates, pred_iou_thresh=0.8, replaces=third)
    assert sorted(fewer) == [2, 3, 8]
    assert [one.id for one in session.objects] == sorted(fewer)
    # without the first run, which was undone
    for _ in range(4):
        session.undo()
    assert len(session.add_candidates(candidates, replaces=third)) == 6


def test_another_choice_is_the_same_as_the_first_would_have_been(session: AnnotationSession) -> None:
    """Also where masks overlap by more than those of different runs may, but less than duplicates do."""
    overlapping = drawn([(0.9, 0.9), (0.8, 0.95)], [(2, 2), (4, 2)], 0.7)
    assert overlapping.choose() == [0, 1]
    first = session.add_candidates(overlapping, pred_iou_thresh=0.85)
    assert len(first) == 1
    both = session.add_candidates(overlapping, replaces=first)
    assert len(both) == 2
    # as objects of their own they would be one
    session.paint(first[0], 2, session.mask(first[0], FRAME))
    assert session.add_candidates(overlapping, replaces=both) == [both[1]]


def test_objects_that_were_worked_on_stay(session: AnnotationSession, candidates: FrameCandidates) -> None:
    ids = session.add_candidates(candidates)
    tracked, named, clicked, painted, locked, deleted = ids
    nothing = np.zeros(session.frame_size, bool)
    session.paint(tracked, 3, nothing)
    session.change_object(named, name="mine")
    session.add_points(clicked, FRAME, (5, 5))
    session.paint(painted, FRAME, nothing)
    session.lock(locked, FRAME)
    session.delete_objects([deleted])

    assert session.add_candidates(candidates, pred_iou_thresh=1.0, replaces=ids) == []
    assert [one.id for one in session.objects] == [tracked, named, clicked, painted, locked]


def test_labels_show_a_choice_with_the_best_on_top(session: AnnotationSession, candidates: FrameCandidates) -> None:
    indices = [6, 0, 3]
    expected = np.zeros(session.frame_size, np.int32)
    for one in indices:
        mask = candidates.mask(one).paste(session.frame_size)
        expected[mask & (expected == 0)] = one + 1

    np.testing.assert_array_equal(candidates.labels(indices, session.frame_size), expected)


def test_thresholds_below_are_refused(session: AnnotationSession, candidates: FrameCandidates) -> None:
    with pytest.raises(InvalidInputError, match="lower thresholds"):
        session.add_candidates(candidates, stability_score_thresh=0.3)
    assert session.history == []


def test_what_holds_where_nothing_is_said_is_what_holds_for_the_generator() -> None:
    known = inspect.signature(SAM2AutomaticMaskGenerator).parameters

    assert {name: known[name].default for name in USUAL} == USUAL
