"""A worker that finds round masks at once, so that the notebook can be tried without a network."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.session.worker.messages import (
    Cancel,
    Carry,
    Estimate,
    Estimated,
    Everything,
    Failed,
    Finished,
    FoundMask,
    FrameFound,
    MaskData,
    ObjectStatement,
    Progress,
    Propagate,
    Segment,
    Started,
    Stop,
)
from sam2_core.volumes.readers import open_volume

FRAMES, HEIGHT, WIDTH = 8, 120, 160
RADIUS = 12


class FakeWorker:
    """Answers in a thread: a disc at the mean of the positive points, the box where there is one.

    A propagation waits at `gate` before each frame, so that tests may hold it up.
    """

    is_inline = False

    def __init__(self, hear: Callable[[Any], object], frame_size: tuple[int, int], frame_count: int) -> None:
        self.hear, self.frame_size, self.frame_count = hear, frame_size, frame_count
        self.gate = threading.Event()
        self.gate.set()
        self.stopped = threading.Event()
        self.cancelled: set[int] = set()
        self.options: list[dict[str, Any]] = []
        self.next_failure: Exception | None = None

    def send(self, message: Any) -> None:
        if isinstance(message, Cancel):
            self.cancelled.add(message.job)
        elif isinstance(message, Stop):
            self.close()
        elif isinstance(message, Segment | Propagate | Carry | Everything | Estimate):
            threading.Thread(target=self._work, args=(message,), daemon=True).start()

    def pump(self) -> bool:
        return False

    def close(self) -> None:
        self.stopped.set()
        self.gate.set()

    def _work(self, message: Any) -> None:
        if self.next_failure is not None:
            error, self.next_failure = self.next_failure, None
            self.hear(Failed(message.job, type(error).__name__, str(error), "the worker's traceback"))
            return
        if isinstance(message, Segment):
            self.hear(Started(message.job, 1))
            self.hear(FrameFound(message.job, message.frame, (self._found(message.object, message.frame),)))
        elif isinstance(message, Estimate):
            self.hear(Started(message.job, 1))
            self.hear(Estimated(message.job, {"exact": 12.0, "crops": 240.0}))
        elif isinstance(message, Everything):
            self.hear(Started(message.job, 1))
            self.options.append(message.options)
            found = [self._disc(30, 30), self._disc(100, 60)]
            masks = tuple(FoundMask(0, MaskData.of(MaskPixels.cut(mask)), 0.9, 4.0) for mask in found)
            self.hear(FrameFound(message.job, message.frame, masks))
        elif isinstance(message, Carry):
            self._carry(message)
        elif not self._propagate(message):
            return
        self.hear(Finished(message.job))

    def _carry(self, message: Carry) -> None:
        """Each slice gets the mask that it has at the first time."""
        self.options.append(message.options)
        first, *others = message.lines
        self.hear(Started(message.job, len(first.frames) * len(others)))
        for line in others:
            for there, frame in zip(first.frames, line.frames, strict=True):
                masks = [(one.id, said.mask) for one in message.objects for said in one.frames if said.frame == there]
                found = tuple(FoundMask(number, mask, 0.875, 5.0) for number, mask in masks if mask is not None)
                self.hear(FrameFound(message.job, frame, found))

    def _propagate(self, message: Propagate) -> bool:
        self.options.append({"propagator": message.propagator, "count": message.count, **message.options})
        frames = range(self.frame_count) if message.line is None else message.line.frames
        self.hear(Started(message.job, len(frames), 2.0))
        for done, frame in enumerate(frames, start=1):
            while not self.gate.wait(0.005) and message.job not in self.cancelled and not self.stopped.is_set():
                pass
            if message.job in self.cancelled or self.stopped.is_set():
                return False
            masks = tuple(self._found(one, frame) for one in message.objects)
            self.hear(FrameFound(message.job, frame, masks))
            self.hear(Progress(message.job, done, len(frames)))
        return True

    def _found(self, one: ObjectStatement, frame: int) -> FoundMask:
        said = min(one.frames, key=lambda statement: abs(statement.frame - frame))
        if said.mask is not None:
            mask = said.mask.mask().paste(self.frame_size)
        elif said.box is not None:
            x0, y0, x1, y1 = (round(value) for value in said.box)
            mask = np.zeros(self.frame_size, bool)
            mask[y0:y1, x0:x1] = True
        else:
            points = np.array(said.points)[np.array(said.labels) == 1]
            x, y = points.mean(axis=0)
            mask = self._disc(x + frame - said.frame, y)
            for (px, py), label in zip(said.points, said.labels, strict=True):
                if label == 0:
                    mask &= ~self._disc(px, py, 4)
        return FoundMask(one.id, MaskData.of(MaskPixels.cut(mask)), 0.875, 5.0)

    def _disc(self, x: float, y: float, radius: float = RADIUS) -> np.ndarray:
        rows, columns = np.mgrid[: self.frame_size[0], : self.frame_size[1]]
        return np.asarray(np.hypot(columns - x, rows - y) <= radius)


def pictures(frames: int = FRAMES, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """(frame, y, x) uint8: a bright disc that moves by a pixel a frame, and on each frame its number as grey."""
    rows, columns = np.mgrid[:height, :width]
    made = np.zeros((frames, height, width), np.uint8)
    for frame in range(frames):
        made[frame] = 20 + 10 * frame
        made[frame][np.hypot(columns - 40 - frame, rows - 50) <= RADIUS] = 220
    return made


def fake_session(folder: Any = None, stack: np.ndarray | None = None, **options: Any) -> AnnotationSession:
    """A session whose model is a fake; a stack is (t, y, x) or (t, c, y, x), and options are those of its frames."""
    pixels = pictures() if stack is None else stack
    frames = open_volume(pixels, axes="tyx" if pixels.ndim == 3 else "tcyx").stack("t", **options)
    session = AnnotationSession.create(frames, folder, model="a fake", worker="thread")
    give_fake(session)
    return session


def give_fake(session: AnnotationSession) -> None:
    """Replace a session's worker, before its first use, by a fake one."""
    runner: Any = session.runner
    runner._make_link = lambda hear, _lose: FakeWorker(hear, session.frame_size, session.frame_count)


def worker_of(session: AnnotationSession) -> FakeWorker:
    """The fake, once something was asked of it."""
    runner: Any = session.runner
    if runner._link is None:
        session.current_frame = session.current_frame
    link = runner._link
    assert isinstance(link, FakeWorker)
    return link


def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
