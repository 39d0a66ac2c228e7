"""A session with a real network: prompts are answered, objects tracked, and the network kept in step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam2_core.checkpoints.build import load_model
from sam2_core.errors import MissingFileError, StateError
from sam2_core.inference.video_predictor import SAM2VideoPredictor
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.items import Change
from sam2_core.session.review import ReviewItem, ReviewQueue
from sam2_core.volumes.frames import open_frames

FRAMES, SIZE = 6, 96
OVERRIDES = ("++model._target_=sam2.sam2_video_predictor.SAM2VideoPredictor",)


def picture() -> np.ndarray:
    """Two round cells that drift apart."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    frames = np.full((FRAMES, SIZE, SIZE), 12.0)
    for frame in range(FRAMES):
        for x, y in ((34 - frame, 40), (64 + frame, 56)):
            frames[frame] += 180 * np.exp(-((((rows - y) ** 2 + (columns - x) ** 2) / 11.0**2) ** 3))
    return frames.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def model() -> Any:
    try:
        return load_model("sam2.1_hiera_micro", device="cpu", precision="fp32", overrides=OVERRIDES)
    except MissingFileError as error:
        pytest.skip(f"needs the shipped checkpoint: {error}")


@pytest.fixture
def session(tmp_path: Path, model: SAM2VideoPredictor) -> Iterator[AnnotationSession]:
    with AnnotationSession.create(open_frames(picture()), tmp_path / "session", model=model) as opened:
        yield opened


def clicked(session: AnnotationSession, x: float = 34, y: float = 40, frame: int = 0) -> int:
    one = session.add_object()
    session.add_points(one.id, frame, (x, y))
    session.segment(one.id, frame)
    return one.id


def all_labels(session: AnnotationSession) -> np.ndarray:
    return np.stack([session.labels(frame, priority="lower id") for frame in range(FRAMES)])


def test_a_click_is_answered_in_its_own_step(session: AnnotationSession) -> None:
    one = clicked(session)

    record = session.record(one, 0)
    assert record is not None
    assert record.source == "prompt"
    assert record.predicted_iou is not None
    assert session.mask(one, 0)[40, 34]
    assert [info.label for info in session.history] == ["new object 1", "click on object 1"]
    session.undo()
    assert session.record(one, 0) is None
    assert session.prompt(one, 0).is_empty


def test_the_same_as_the_predictor_itself(session: AnnotationSession, model: SAM2VideoPredictor) -> None:
    first, second = clicked(session), clicked(session, 64, 56)

    assert sorted(set(session.propagate())) == list(range(FRAMES))

    state = model.init_state(open_frames(picture()))
    model.prompt_points(state, 0, first, [[34, 40]], [1])
    model.prompt_points(state, 0, second, [[64, 56]], [1])
    expected = np.zeros((FRAMES, SIZE, SIZE), int)
    for result in model.propagate(state, direction="both"):
        masks = result.masks.numpy()
        for row in (1, 0):
            expected[result.frame_index][masks[row]] = result.object_ids[row]
    assert np.array_equal(all_labels(session), expected)
    assert len(np.unique(expected)) == 3


@pytest.mark.parametrize("propagator", ["both", "forward"])
def test_each_object_is_followed_from_its_own_click(session: AnnotationSession, propagator: str) -> None:
    first, second = clicked(session, frame=1), clicked(session, 64, 56, frame=FRAMES - 2)
    job = session.start_propagate(propagator=propagator)
    together = {one: [session.mask(one, frame) for frame in range(FRAMES)] for one in (first, second)}

    assert job.done == job.total == len(job.result)
    assert session.masked_frames(first) == list(range(0 if propagator == "both" else 1, FRAMES))
    assert session.masked_frames(second) == list(range(0 if propagator == "both" else FRAMES - 2, FRAMES))
    session.undo()
    # alone, from that frame on, each comes to the same
    for one, frame in ((first, 1), (second, FRAMES - 2)):
        for _ in session.propagate([one], propagator=propagator, start=frame):
            pass
        assert all(np.array_equal(session.mask(one, at), mask) for at, mask in enumerate(together[one]))


def test_a_propagation_is_one_step(session: AnnotationSession) -> None:
    one = clicked(session)
    before = all_labels(session)
    heard: list[Change] = []
    session.changed.connect(heard.append)
    for _ in session.propagate([one]):
        pass
    after = all_labels(session)
    assert {frame for change in heard for frame in change.frames} == set(range(1, FRAMES))

    session.undo()
    assert np.array_equal(all_labels(session), before)
    session.redo()
    assert np.array_equal(all_labels(session), after)


def test_stopping_keeps_what_is_there(session: AnnotationSession) -> None:
    one = clicked(session)
    frames: list[int] = []
    frames.extend(session.propagate([one], should_stop=lambda: len(session.masked_frames(one)) >= 3))

    assert frames == [0, 1, 2]
    assert session.masked_frames(one) == [0, 1, 2]
    assert session.history[-1].is_finished
    session.undo()
    assert session.masked_frames(one) == [0]


def test_leaving_the_loop_ends_the_step(session: AnnotationSession) -> None:
    one = clicked(session)
    for frame in session.propagate([one]):
        if frame == 2:
            break

    session.undo()

    assert session.masked_frames(one) == [0]


def test_painted_and_locked_masks_stay(session: AnnotationSession) -> None:
    one = clicked(session)
    painted = np.zeros((SIZE, SIZE), bool)
    painted[30:50, 22:42] = True
    session.paint(one, 3, painted)
    for _ in session.propagate([one]):
        pass

    assert np.array_equal(session.mask(one, 3), painted)
    assert session.masked_frames(one) == list(range(FRAMES))


def test_what_a_person_does_meanwhile_stays(session: AnnotationSession) -> None:
    one, two = clicked(session), clicked(session, 64, 56)
    painted = np.ones((SIZE, SIZE), bool)
    steps = session.propagate()
    assert next(steps) == 0
    session.paint(one, 4, painted)
    session.delete_objects([two])

    assert sorted(set(steps)) == list(range(1, FRAMES))

    assert np.array_equal(session.mask(one, 4), painted)
    assert [each.id for each in session.objects] == [one]
    with pytest.raises(StateError):
        session.mask(two, 2)


def test_after_an_undo_the_network_knows_no_more_than_the_session(session: AnnotationSession) -> None:
    one = clicked(session)
    for _ in session.propagate([one]):
        pass
    expected = all_labels(session)

    session.add_points(one, 0, (64, 56), [1])
    session.segment(one, 0)
    session.undo()
    session.undo()
    for _ in session.propagate([one]):
        pass

    assert np.array_equal(all_labels(session), expected)


def test_opened_again_it_goes_on(session: AnnotationSession, model: SAM2VideoPredictor) -> None:
    one = clicked(session)
    folder = session.folder
    session.close()

    with AnnotationSession.open(folder, open_frames(picture()), model=model) as again:
        assert sorted(set(again.propagate([one]))) == list(range(FRAMES))
        assert again.masked_frames(one) == list(range(FRAMES))


def test_what_cannot_be_segmented(session: AnnotationSession, tmp_path: Path) -> None:
    one = session.add_object("cell")
    with pytest.raises(StateError, match="Nothing was said of cell on frame 2"):
        session.segment(one.id, 2)
    with pytest.raises(StateError, match="cell cannot be tracked"):
        session.propagate([one.id])
    with pytest.raises(StateError, match="nothing to track"):
        session.propagate()
    with pytest.raises(StateError, match="no object 7"):
        session.propagate([7])
    with AnnotationSession.create(open_frames(picture())) as bare, pytest.raises(StateError, match="with a model"):
        bare.propagate()


def test_a_click_corrects_a_mask_that_the_network_has_not_found_itself(
    session: AnnotationSession, model: SAM2VideoPredictor
) -> None:
    """As after reopening: a click beside an object takes away a part of it, and is not all that is known of it."""
    one = session.add_object()
    wide = np.zeros((SIZE, SIZE), bool)
    wide[28:53, 22:77] = True  # both cells
    session.paint(one.id, 0, wide, lock=False)
    session.add_points(one.id, 0, (64, 56), [0])
    session.segment(one.id, 0)

    state = model.init_state(open_frames(picture()))
    model.prompt_mask(state, 0, 1, wide)
    expected = model.prompt_points(state, 0, 1, [[64, 56]], [0]).masks[0].numpy()
    assert np.array_equal(session.mask(one.id, 0), expected)
    assert expected[40, 34]


def test_accepting_and_correcting_are_one_call_each(session: AnnotationSession) -> None:
    one = clicked(session)
    list(session.propagate([one]))
    queue = ReviewQueue(session)
    queue.accept(ReviewItem(one, 4, 1.0, {}))
    accepted = session.mask(one, 4)
    clicks = len(session.prompted_frames(one))

    queue.correct(ReviewItem(one, 2, 1.0, {}), (32, 40), count=2).wait()

    assert session.prompted_frames(one) == [0, 2]
    assert clicks == 1
    answer = session.record(one, 2)
    assert answer is not None
    assert answer.source == "prompt"
    assert np.array_equal(session.mask(one, 4), accepted)
    assert [step.label for step in session.history[-2:]] == ["click on object 1", "track an object"]
