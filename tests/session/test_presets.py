"""The crop preset in a session: the crop tracker's results, and everything else as with whole frames."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam2_core import open_volume
from sam2_core.errors import InvalidInputError
from sam2_core.hooks import FrameDone, Plugins, Propagator, Selection, Tracking, hookimpl, using_plugins
from sam2_core.inference.object_crop_tracker import CropTracker
from sam2_core.inference.tile_grid import Window
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.items import Change
from sam2_core.session.job import Job
from sam2_core.session.review import ReviewItem, ReviewQueue
from sam2_core.volumes.frames import open_frames
from tests.inference.video_scene import small_predictor
from tests.session.job_scene import Gate, frames, new_session, predictor, until

FRAMES = 6
PATIENCE = 300.0
#: Clicks (x, y) on two objects, and their frames.
CLICKS = {1: ((30, 20), 0), 2: ((60, 40), 2)}
CORRECTION = (34, 24), 4


def crops(folder: Any = None, **options: Any) -> AnnotationSession:
    session = new_session(folder, count=FRAMES, **options)
    # what is encoded ahead would come between
    session.worker_options = {"encodes_ahead": False, "measures": False}
    session.preset = "crops"
    return session


@pytest.fixture
def session() -> Iterator[AnnotationSession]:
    with crops() as opened:
        yield opened


def click(session: AnnotationSession) -> list[int]:
    ids = []
    for point, frame in CLICKS.values():
        one = session.add_object().id
        session.add_points(one, frame, point)
        session.segment(one, frame)
        ids.append(one)
    return ids


def masks(session: AnnotationSession) -> dict[tuple[int, int], np.ndarray]:
    return {(one.id, frame): session.mask(one.id, frame) for one in session.objects for frame in range(FRAMES)}


def same(found: dict[Any, np.ndarray], expected: dict[Any, np.ndarray]) -> bool:
    return found.keys() == expected.keys() and all(np.array_equal(found[key], expected[key]) for key in expected)


class Direct:
    """The crop tracker without a session."""

    def __init__(self) -> None:
        self.tracker = CropTracker(predictor())
        self.state = self.tracker.init_state(open_frames(frames(FRAMES)))
        self.masks: dict[tuple[int, int], np.ndarray] = {}
        #: Answers to clicks stay, whatever is tracked.
        self.fixed: set[tuple[int, int]] = set()

    def click(self, one: int, point: tuple[int, int], frame: int) -> None:
        found = self.tracker.prompt_points(self.state, frame, one, [point], [1])
        self.masks[one, frame] = found[one].pixels_in(Window(0, 0, *self.state.frame_size))
        self.fixed.add((one, frame))

    def track(self, start: int, one: int) -> None:
        self.sweep(range(start, FRAMES), one)
        self.sweep(range(start - 1, -1, -1), one)

    def sweep(self, frames: range, *objects: int) -> None:
        for found in self.tracker.propagate(
            self.state, frames[0], len(frames), reverse=frames.step < 0, objects=objects
        ):
            for each in found.objects:
                key = int(str(each.object_id)), found.frame_index
                if key not in self.fixed:
                    self.masks[key] = each.pixels_in(Window(0, 0, *self.state.frame_size))


@cache
def tracked_directly(*, corrected: bool = False) -> dict[tuple[int, int], np.ndarray]:
    """Masks of both objects, tracked both ways; then with a correction of the first one."""
    direct = Direct()
    for one, (point, frame) in CLICKS.items():
        direct.click(one, point, frame)
    # each from its own click
    direct.sweep(range(2), 1)
    direct.sweep(range(2, FRAMES), 1, 2)
    direct.sweep(range(1, -1, -1), 2)
    if corrected:
        point, frame = CORRECTION
        direct.click(1, point, frame)
        direct.track(frame, 1)
    direct.state.close()
    return direct.masks


@pytest.mark.parametrize("worker", [None, "thread", "process"])
def test_the_same_as_the_crop_tracker_itself(worker: Any) -> None:
    with crops(worker=worker) as session:
        first, _ = click(session)
        assert sorted(set(session.start_propagate().wait(PATIENCE))) == list(range(FRAMES))
        found = masks(session)
        assert same(found, tracked_directly())
        assert sum(mask.any() for mask in found.values()) > FRAMES
        records = [session.record(*key) for key in found]
        assert {record.source for record in records if record} == {"prompt", "track"}
        assert any(record.predicted_iou is not None for record in records if record)
        assert [step.label for step in session.history][-1] == "track 2 objects in crops"

        point, frame = CORRECTION
        session.add_points(first, frame, point)
        session.start_segment(first, frame).wait(PATIENCE)
        session.start_propagate([first], start=frame).wait(PATIENCE)
        assert same(masks(session), tracked_directly(corrected=True))


def test_it_is_not_what_whole_frames_give(session: AnnotationSession) -> None:
    click(session)
    list(session.propagate())
    in_crops = masks(session)
    session.undo()
    session.preset = "exact"
    list(session.propagate())
    assert not same(masks(session), in_crops)


def test_a_correction_in_the_review_is_made_in_crops_too(session: AnnotationSession) -> None:
    first, _ = click(session)
    list(session.propagate())
    point, frame = CORRECTION
    ReviewQueue(session).correct(ReviewItem(first, frame, 1.0, {}), point).wait()
    assert same(masks(session), tracked_directly(corrected=True))


def test_one_step_that_can_be_undone_and_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    with crops(tmp_path / "session") as session:
        first, _ = click(session)
        before = masks(session)
        list(session.propagate())
        session.undo()
        assert same(masks(session), before)
        session.redo()
        assert same(masks(session), tracked_directly())
    stack = open_frames(frames(FRAMES))
    with AnnotationSession.open(tmp_path / "session", stack, model=predictor()) as again:
        assert same(masks(again), tracked_directly())
        assert again.preset == "exact"
        again.preset = "crops"
        point, frame = CORRECTION
        again.add_points(first, frame, point)
        again.segment(first, frame)
        assert again.record(first, frame).source == "prompt"  # type: ignore[union-attr]
        assert sorted(set(again.propagate([first], start=frame))) == list(range(FRAMES))


def test_painted_and_locked_masks_stay(session: AnnotationSession) -> None:
    first, second = click(session)
    painted = np.zeros(session.stack.frame_size, bool)
    painted[10:30, 20:40] = True
    session.paint(first, 3, painted)
    session.paint(second, 4, ~painted)
    session.lock(second, 4)
    list(session.propagate())
    assert np.array_equal(session.mask(first, 3), painted)
    assert np.array_equal(session.mask(second, 4), ~painted)
    # tracking goes by what is locked
    assert not np.array_equal(session.mask(second, 5), tracked_directly()[second, 5])


@pytest.mark.parametrize("propagator", ["forward", "backward", "between-corrections", "inward"])
def test_every_way_to_sweep(session: AnnotationSession, propagator: str) -> None:
    first, _ = click(session)
    session.add_points(first, 4, (34, 24))
    session.segment(first, 4)
    found = set(session.propagate([first], propagator=propagator, start=2))
    assert (
        found
        == {
            "forward": {2, 3, 4, 5},
            "backward": {0, 1, 2},
            "between-corrections": {1, 2, 3},
            "inward": set(range(FRAMES)),
        }[propagator]
    )
    assert found <= set(session.records(first))


def test_a_comparison_in_crops_changes_no_mask(session: AnnotationSession) -> None:
    first, _ = click(session)
    list(session.propagate())
    session.start_compare([first], propagator="forward")
    assert set(session.disagreements(first)) == set(range(1, FRAMES))
    assert same(masks(session), tracked_directly())
    session.start_compare([first], propagator="inward")
    assert same(masks(session), tracked_directly())


# jobs


@pytest.mark.parametrize("worker", [None, "process"])
def test_how_long_it_takes_is_told_for_both_presets_before_it_is_started(worker: Any) -> None:
    with crops(worker=worker) as session:
        first, _ = click(session)
        steps = [step.label for step in session.history]
        before = masks(session)
        told = session.start_estimate().wait(PATIENCE)
        assert told.keys() == {"exact", "crops"}
        assert 0 < told["exact"] < told["crops"]
        half = session.start_estimate([first], count=3, propagator="forward").wait(PATIENCE)
        # as many images are encoded for one object
        assert half["exact"] == pytest.approx(half["crops"])
        assert half["exact"] < told["exact"]
        assert [step.label for step in session.history] == steps
        assert same(masks(session), before)


class Held:
    """A session in a thread whose network can be held up before each image."""

    def __init__(self) -> None:
        self.gate = Gate(predictor())
        self.session = crops(worker="thread")
        self.session.worker_options["feature_memory_bytes"] = 0


@pytest.fixture
def held() -> Iterator[Held]:
    made = Held()
    yield made
    made.gate.open()
    made.session.close()
    made.gate.remove()


def test_nothing_is_applied_once_it_is_cancelled(held: Held) -> None:
    session = held.session
    click(session)
    before = masks(session)
    held.gate.close()
    job = session.start_propagate()
    held.gate.wait_for_arrival()
    heard: list[Change] = []
    job.cancel()
    session.changed.connect(heard.append)
    assert job.state == "cancelled"
    held.gate.open()
    session.start_estimate().wait(PATIENCE)
    assert heard == []
    assert same(masks(session), before)
    assert all(step.is_finished for step in session.history)

    # and nothing of it is in the way of the next one
    session.start_propagate().wait(PATIENCE)
    assert same(masks(session), tracked_directly())


def test_what_is_there_when_it_is_cancelled_stays_until_it_is_undone(held: Held) -> None:
    session = held.session
    first, _ = click(session)
    job = session.start_propagate([first])
    job.changed.connect(lambda job: job.cancel() if job.done == 3 else None)
    until(lambda: not job.is_active)
    assert job.state == "cancelled"
    assert sorted(session.records(first)) == [0, 1, 2]
    session.undo()
    assert sorted(session.records(first)) == [0]


def test_pause_and_resume(held: Held) -> None:
    session = held.session
    first, second = click(session)
    job = session.start_propagate()
    job.changed.connect(lambda job: job.pause() if job.done == 2 and job.state == "running" else None)
    until(lambda: job.state == "paused")
    assert sorted(session.records(first)) == [0, 1]
    # others go on meanwhile
    session.start_segment(second, CLICKS[2][1]).wait(PATIENCE)
    job.changed.disconnect()
    job.resume()
    job.wait(PATIENCE)
    assert sorted(session.records(first)) == list(range(FRAMES))


@pytest.mark.parametrize("preset", ["crops", "exact"])
def test_a_click_goes_before_a_propagation(held: Held, preset: Any) -> None:
    session = held.session
    first, second = click(session)
    third = session.add_object().id
    session.add_points(third, 1, (45, 30))
    ended: list[Job] = []
    held.gate.close()
    tracking = session.start_propagate([first, second])
    held.gate.wait_for_arrival()
    session.preset = preset
    clicked = session.start_segment(third, 1)
    for job in (tracking, clicked):
        job.changed.connect(lambda job: ended.append(job) if not job.is_active else None)
    held.gate.open()
    tracking.wait(PATIENCE)
    clicked.wait(PATIENCE)
    assert ended == [clicked, tracking]
    assert session.record(third, 1) is not None
    session.delete_objects([third])
    assert same(masks(session), tracked_directly())


def test_corrected_while_it_is_tracked(held: Held) -> None:
    session = held.session
    first, second = click(session)
    tracking = session.start_propagate()
    point, frame = CORRECTION

    def correct(job: Job) -> None:
        if job.done == 2:
            job.changed.disconnect(correct)
            session.add_points(first, frame, point)
            clicks.append(session.start_segment(first, frame))

    clicks: list[Job] = []
    tracking.changed.connect(correct)
    tracking.wait(PATIENCE)
    (clicked,) = clicks
    clicked.wait(PATIENCE)
    assert session.record(first, frame).source == "prompt"  # type: ignore[union-attr]
    assert sorted(session.records(second)) == list(range(FRAMES))


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_worker_that_is_killed_is_replaced() -> None:
    with crops(worker="process") as session:
        for point, frame in CLICKS.values():
            one = session.add_object().id
            session.add_points(one, frame, point)
            session.start_segment(one, frame).wait(PATIENCE)
        link: Any = session.runner._link
        process = link.process_id

        def kill(job: Job) -> None:
            if job.done == 2:
                job.changed.disconnect(kill)
                os.kill(process, signal.SIGKILL)

        job = session.start_propagate()
        job.changed.connect(kill)
        assert sorted(set(job.wait(PATIENCE))) == list(range(FRAMES))
        assert same(masks(session), tracked_directly())


# frames along two axes


def test_at_one_time_of_a_film_it_is_what_a_session_at_that_time_finds() -> None:
    depth = FRAMES // 2
    film = open_volume(frames(FRAMES)[..., 0].reshape(2, depth, *frames(1).shape[1:3]), axes="tzyx")

    def work(session: AnnotationSession, first: int) -> list[np.ndarray]:
        session.preset = "crops"
        one = session.add_object().id
        session.add_points(one, first, (30, 20))
        session.segment(one, first)
        list(session.propagate([one], start=first))
        assert sorted(session.records(one)) == list(range(first, first + depth))
        return [session.mask(one, first + place) for place in range(depth)]

    with AnnotationSession.create(film.stack("z", {"t": 1}), model=predictor()) as one_time:
        expected = work(one_time, 0)
    with AnnotationSession.create(film.stack("tz"), model=predictor()) as all_times:
        found = work(all_times, all_times.frame_at(t=1, z=0))
    assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))
    assert expected[1].any()


# what cannot be


def test_who_listens_hears_that_the_preset_is_another(session: AnnotationSession) -> None:
    heard: list[str] = []
    session.preset_changed.connect(heard.append)
    for preset in ("crops", "exact", "exact", "crops"):
        session.preset = preset  # type: ignore[assignment]
    assert heard == ["exact", "crops"]


def test_there_is_no_such_preset(session: AnnotationSession) -> None:
    with pytest.raises(InvalidInputError, match=r"preset is one of exact, crops; got 'tiles'"):
        session.preset = "tiles"  # type: ignore[assignment]
    assert session.preset == "crops"


def test_a_model_that_tracks_jointly_is_refused(session: AnnotationSession) -> None:
    joint = small_predictor("sam2.sam2_video_predictor.SAM2VideoPredictor", joint_objects=True)
    with new_session(model=joint) as other:
        with pytest.raises(InvalidInputError, match="tracked jointly have to be seen together"):
            other.preset = "crops"
        assert other.preset == "exact"
        other.add_points(other.add_object().id, 0, (30, 20))
        assert other.start_estimate().wait().keys() == {"exact"}
    click(session)
    steps = [step.label for step in session.history]
    session.use_model(joint)
    for start in (session.start_propagate, session.start_estimate, lambda: session.start_segment(1, 0)):
        with pytest.raises(InvalidInputError, match=r"preset \"exact\""):
            start()
    assert [step.label for step in session.history] == steps
    assert not session.jobs.active


def test_a_propagator_that_chooses_memories_is_refused_before_anything_changes(session: AnnotationSession) -> None:
    def chooses(tracking: Tracking) -> Iterator[FrameDone]:
        for step in tracking.walk(tracking.passes("forward")[0]):
            yield FrameDone(step.frame)

    class Plugin:
        @hookimpl
        def sam2_propagators(self) -> list[Propagator]:
            return [Propagator("chooses", propagate=chooses)]

    plugins = Plugins(Selection(only_builtin=True))
    plugins.load_installed()
    plugins.register(Plugin(), name="mine", distribution="my-plugin", version="1.0")
    with using_plugins(plugins):
        click(session)
        steps = [step.label for step in session.history]
        before = masks(session)
        with pytest.raises(InvalidInputError, match="has to see whole frames"):
            session.start_propagate(propagator="chooses").wait(PATIENCE)
        assert [step.label for step in session.history] == steps
        assert same(masks(session), before)
        session.preset = "exact"
        assert session.start_propagate(propagator="chooses").wait(PATIENCE)
