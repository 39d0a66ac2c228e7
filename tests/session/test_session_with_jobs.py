"""Random work with jobs whose results come at any time, or too late, against a plain model of what should be there.

The worker is a script: hypothesis decides when which of its results arrives, when it crashes and when it hangs. What
the network would find is not what is tested here.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sam2_core.errors import StateError, WorkerError
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.job import Job
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.session.worker.messages import (
    Finished,
    FoundMask,
    FrameFound,
    MaskData,
    Propagate,
    Segment,
    Started,
)
from sam2_core.volumes.frames import open_frames

FRAMES, SIZE = 4, 12
ABSENT = None
Key = tuple[str, int, int]


class ScriptedLink:
    """A worker that does nothing by itself."""

    is_inline = False

    def __init__(self, hear: Callable[[Any], None], lost: Callable[[WorkerError, bool], None]) -> None:
        self.hear, self.lost = hear, lost
        self.requests: dict[int, Any] = {}

    def send(self, message: Any) -> None:
        if isinstance(message, Segment | Propagate):
            self.requests[message.job] = message
            self.hear(Started(message.job, FRAMES))

    def pump(self) -> bool:
        return False

    def close(self) -> None:
        pass


@dataclass
class Step:
    """What was done, and what each document was before and is after."""

    changes: dict[Key, tuple[Any, Any]] = field(default_factory=dict)
    finished: bool = True
    undone: bool = False


class Plain:
    """Documents and steps, in dictionaries."""

    def __init__(self) -> None:
        self.now: dict[Key, Any] = {}
        self.steps: list[Step] = []

    def of(self, kind: str) -> dict[tuple[int, int], Any]:
        return {key[1:]: value for key, value in self.now.items() if key[0] == kind}

    def put(self, key: Key, value: Any) -> None:
        if value is ABSENT:
            self.now.pop(key, None)
        else:
            self.now[key] = value

    def new_step(self, finished: bool = True) -> Step:
        self.steps = [step for step in self.steps if not step.undone]
        self.steps.append(Step(finished=finished))
        return self.steps[-1]

    def do(self, changes: dict[Key, Any]) -> None:
        if any(self.now.get(key) != value for key, value in changes.items()):
            self.extend(self.new_step(), changes)

    def extend(self, step: Step, changes: dict[Key, Any]) -> None:
        later = self.steps[self.steps.index(step) + 1 :]
        for key, value in changes.items():
            before = self.now.get(key)
            if before != value and not any(key in other.changes for other in later):
                step.changes[key] = (step.changes.get(key, (before, None))[0], value)
                self.put(key, value)

    def finish(self, step: Step) -> None:
        step.finished = True
        if not step.changes:
            self.steps.remove(step)

    @property
    def last(self) -> Step | None:
        return next((step for step in reversed(self.steps) if not step.undone), None)

    @property
    def undone(self) -> Step | None:
        return next((step for step in self.steps if step.undone), None)


@dataclass
class Work:
    """A job, and what the model knows of it."""

    job: Job
    step: Step | None = None
    asked: tuple[int, int, Any] | None = None
    attempts: int = 0


class JobMachine(RuleBasedStateMachine):
    """Random work beside a worker."""

    frames = st.integers(0, FRAMES - 1)
    spots = st.integers(0, SIZE - 4)

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.session = AnnotationSession.create(
            self.stack(), self.folder / "session", model="scripted", worker="thread"
        )
        self.plain = Plain()
        self.work: dict[int, Work] = {}
        self.late: list[tuple[ScriptedLink, Any]] = []
        self.next_id = 1
        self.connect()

    def stack(self) -> Any:
        return open_frames(np.zeros((FRAMES, SIZE, SIZE), np.uint8))

    def connect(self) -> None:
        self.links: list[ScriptedLink] = []

        def make(hear: Any, lost: Any) -> ScriptedLink:
            self.links.append(ScriptedLink(hear, lost))
            return self.links[-1]

        self.session.runner._make_link = make

    def chosen(self, data: st.DataObject) -> int:
        return int(data.draw(st.sampled_from(sorted(one for one, _ in self.plain.of("object")))))

    def has_objects(self) -> bool:
        return bool(self.plain.of("object"))

    def mask_at(self, spot: int) -> np.ndarray:
        mask = np.zeros((SIZE, SIZE), bool)
        mask[spot : spot + 3, spot : spot + 4] = True
        return mask

    @rule()
    def add(self) -> None:
        made = self.session.add_object()
        reserved = self.plain.now.get(("reserved", 0, 0), 1)
        assert made.id == reserved
        self.plain.do({("reserved", 0, 0): reserved + 1, ("object", made.id, 0): True})

    @precondition(has_objects)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        one = self.chosen(data)
        self.session.delete_objects([one])
        self.plain.do({key: ABSENT for key in list(self.plain.now) if key[0] != "reserved" and key[1] == one})

    @precondition(has_objects)
    @rule(data=st.data(), frame=frames, spot=spots)
    def click(self, data: st.DataObject, frame: int, spot: int) -> None:
        one = self.chosen(data)
        self.session.add_points(one, frame, (spot, spot))
        key = ("prompt", one, frame)
        self.plain.do({key: (*self.plain.now.get(key, ()), spot)})

    @precondition(has_objects)
    @rule(data=st.data(), frame=frames, spot=spots, lock=st.booleans())
    def paint(self, data: st.DataObject, frame: int, spot: int, lock: bool) -> None:
        one = self.chosen(data)
        self.session.paint(one, frame, self.mask_at(spot), lock=lock)
        # painted pixels are new ones, even where they look the same
        self.next_id += 1
        self.plain.do({("mask", one, frame): (spot, "paint", lock, self.next_id)})

    @rule()
    def undo(self) -> None:
        last = self.plain.last
        if last is None:
            with pytest.raises(StateError):
                self.session.undo()
            return
        going_on = next((work for work in self.work.values() if work.step is last), None)
        self.session.undo()
        if going_on is not None:
            self.ended(going_on, "cancelled")
        if last.changes:
            for key, (before, _) in last.changes.items():
                self.plain.put(key, before)
            last.undone = True

    @rule()
    def redo(self) -> None:
        step = self.plain.undone
        if step is None:
            with pytest.raises(StateError):
                self.session.redo()
            return
        self.session.redo()
        # an object that is deleted again takes along what it got meanwhile
        gone = {key[1] for key, (_, after) in step.changes.items() if key[0] == "object" and after is ABSENT}
        for key, value in self.plain.now.items():
            if key[0] in ("prompt", "mask") and key[1] in gone:
                step.changes.setdefault(key, (value, ABSENT))
        for key, (_, after) in step.changes.items():
            self.plain.put(key, after)
        step.undone = False

    @precondition(has_objects)
    @rule(data=st.data(), frame=frames)
    def segment(self, data: st.DataObject, frame: int) -> None:
        one = self.chosen(data)
        prompt = self.plain.now.get(("prompt", one, frame))
        if prompt is None:
            with pytest.raises(StateError):
                self.session.start_segment(one, frame)
            return
        job = self.session.start_segment(one, frame)
        self.work[job.id] = Work(job, asked=(one, frame, prompt))

    @rule()
    def propagate(self) -> None:
        known = {one for one, _ in self.plain.of("prompt")}
        known |= {one for (one, _), mask in self.plain.of("mask").items() if mask[2]}
        if not known:
            with pytest.raises(StateError):
                self.session.start_propagate()
            return
        job = self.session.start_propagate()
        self.work[job.id] = Work(job, step=self.plain.new_step(finished=False))

    @precondition(lambda self: self.links and self.links[-1].requests)
    @rule(data=st.data(), frame=frames, spot=spots)
    def arrive(self, data: st.DataObject, frame: int, spot: int) -> None:
        """A result of a job, which may have ended long ago."""
        link = self.links[-1]
        request = link.requests[data.draw(st.sampled_from(sorted(link.requests)))]
        objects = [request.object] if isinstance(request, Segment) else request.objects
        frame = request.frame if isinstance(request, Segment) else frame
        mask = MaskData.of(MaskPixels.cut(self.mask_at(spot)))
        found = FrameFound(request.job, frame, tuple(FoundMask(one.id, mask, 0.5, 1.0) for one in objects))
        self.late.append((link, found))
        link.hear(found)
        work = self.work.get(request.job)
        if work is None:
            return
        self.next_id += 1
        if work.asked is not None:
            one, frame, prompt = work.asked
            if self.plain.now.get(("prompt", one, frame)) == prompt:
                self.answer(one, frame, (spot, "prompt", False, self.next_id))
        elif work.step is not None:
            kept = self.plain.of("mask")
            changes = {
                ("mask", one.id, frame): (spot, "track", False, (self.next_id, one.id))
                for one in objects
                if ("object", one.id, 0) in self.plain.now
                and not ((one.id, frame) in kept and (kept[one.id, frame][2] or kept[one.id, frame][1] != "track"))
            }
            self.plain.extend(work.step, changes)

    def answer(self, one: int, frame: int, mask: Any) -> None:
        key = ("mask", one, frame)
        asking = [step for step in self.plain.steps if not step.undone and ("prompt", one, frame) in step.changes]
        step = asking[-1] if asking else None
        if step is not None:
            later = self.plain.steps[self.plain.steps.index(step) + 1 :]
            if not step.finished or any(key in other.changes for other in later):
                step = None
        self.plain.extend(self.plain.new_step() if step is None else step, {key: mask})

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def arrive_late(self, data: st.DataObject) -> None:
        """Something from a worker that was replaced, or of a job that has ended."""
        link, found = data.draw(st.sampled_from(self.late))
        if link is not self.links[-1] or found.job not in self.work:
            link.hear(found)

    @precondition(lambda self: self.work)
    @rule(data=st.data(), how=st.sampled_from(["finish", "cancel", "pause", "resume"]))
    def control(self, data: st.DataObject, how: str) -> None:
        work = self.work[data.draw(st.sampled_from(sorted(self.work)))]
        if how in ("pause", "resume"):
            getattr(work.job, how)()
            assert work.job.state == ("paused" if how == "pause" else "running")
            return
        if how == "finish":
            self.links[-1].hear(Finished(work.job.id))
        else:
            work.job.cancel()
        self.ended(work, "done" if how == "finish" else "cancelled")

    def ended(self, work: Work, state: str) -> None:
        assert work.job.state == state
        if work.step is not None:
            self.plain.finish(work.step)
        del self.work[work.job.id]

    @precondition(lambda self: self.work)
    @rule(hung=st.booleans())
    def lose(self, hung: bool) -> None:
        lost = self.links[-1]
        lost.lost(WorkerError("gone."), hung)
        for work in list(self.work.values()):
            if work.job.state == "failed":
                assert hung or work.attempts
                self.ended(work, "failed")
            elif work.job.state == "running":
                assert not hung
                work.attempts += 1
        if self.work:
            assert self.links[-1] is not lost
            assert self.links[-1].requests.keys() == self.work.keys()
        lost.lost(WorkerError("gone."), hung)

    @rule()
    def reopen(self) -> None:
        self.session.close()
        for work in list(self.work.values()):
            self.ended(work, "cancelled")
        self.session = AnnotationSession.open(self.folder / "session", self.stack(), model="scripted", worker="thread")
        self.late.clear()
        self.connect()

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "session"):
            return
        plain = self.plain
        assert {one.id for one in self.session.objects} == {one for one, _ in plain.of("object")}
        for one, _ in plain.of("object"):
            prompts = {frame: prompt for (other, frame), prompt in plain.of("prompt").items() if other == one}
            assert {
                frame: tuple(int(x) for x, _ in self.session.prompt(one, frame).points)
                for frame in self.session.prompted_frames(one)
            } == prompts
            masks = {frame: mask for (other, frame), mask in plain.of("mask").items() if other == one}
            records = self.session.records(one)
            assert {frame: (record.source, record.locked) for frame, record in records.items()} == {
                frame: (mask[1], mask[2]) for frame, mask in masks.items()
            }
            for frame, mask in masks.items():
                assert np.array_equal(self.session.mask(one, frame), self.mask_at(mask[0]))
        there = {(one, frame) for frame in range(FRAMES) for one in self.session.records_on(frame)}
        assert there == plain.of("mask").keys()
        assert {one for one, _ in there} <= {one for one, _ in plain.of("object")}, "masks without an object"
        assert [(step.is_finished, step.is_undone) for step in self.session.history] == [
            (step.finished, step.undone) for step in plain.steps
        ]
        assert {job.id for job in self.session.jobs.active} == set(self.work)

    def teardown(self) -> None:
        if hasattr(self, "session"):
            self.session.close()
            shutil.rmtree(self.folder)


TestJobMachine = JobMachine.TestCase
TestJobMachine.settings = settings(max_examples=10, stateful_step_count=40, deadline=None)


@pytest.mark.soak
class TestJobMachineLong(JobMachine.TestCase):
    settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
