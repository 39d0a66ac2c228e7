"""The worker itself: it takes requests, works on them piece by piece, the most urgent first, and reports."""

from __future__ import annotations

import logging
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

from sam2_core.errors import InvalidInputError
from sam2_core.inference.preset_names import PRESETS, Preset
from sam2_core.session.worker.expected_time import ExpectedTime
from sam2_core.session.worker.features_ahead import FeaturesAhead
from sam2_core.session.worker.line_networks import LinePropagation
from sam2_core.session.worker.line_tracking import NetworkTracking, TrackedMask
from sam2_core.session.worker.messages import (
    PROTOCOL,
    Cancel,
    Carry,
    Describe,
    Encode,
    Estimate,
    Estimated,
    Everything,
    Failed,
    FeatureLevel,
    FeaturesFound,
    Finished,
    FoundMask,
    FrameFound,
    FramePixels,
    FromWorker,
    LookAt,
    MaskData,
    ObjectStatement,
    Open,
    Pause,
    Progress,
    Propagate,
    Ready,
    Request,
    Resume,
    Segment,
    Started,
    Stop,
    ToWorker,
)
from sam2_core.session.worker.propagation_size import propagation_size
from sam2_core.session.worker.task_queue import Task, TaskQueue, Urgency
from sam2_core.session.worker.told_lines import ToldLine, ToldLines
from sam2_core.session.worker.volume_carrying import CarryingOptions, VolumeCarrying
from sam2_core.volumes.embedding_store_key import feature_bytes

if TYPE_CHECKING:
    from sam2_core.inference.video_predictor import SAM2VideoPredictor
    from sam2_core.volumes.embedding_store import EmbeddingStore
    from sam2_core.volumes.frame_stack import FrameStack

_LOGGER = logging.getLogger(__name__)

#: Features of frames that are kept in memory, so that clicks on them are answered at once.
FEATURE_MEMORY_BYTES = 512 * 2**20
#: A step is measured before a propagation of at least so many frames, to tell how long it will take.
MEASURED_FROM = 8


@dataclass(frozen=True)
class WorkerOptions:
    """How a worker works.

    Attributes
    ----------
    feature_memory_bytes : int
        Size of the features that are kept in memory.
    embeddings : str, optional
        Folder of an embedding store, where features are looked for and kept.
    encodes_ahead : bool
        Whether frames round the one that is looked at are encoded while there is nothing else to do.
    measures : bool
        Whether to measure a step before a long propagation, to tell how long it will take.
    device : str, optional
        Where a model that is named goes: "cpu", "cuda:1", "mps"; the best of the machine by default. A predictor that
        was given stays where it is.
    """

    feature_memory_bytes: int = FEATURE_MEMORY_BYTES
    embeddings: str | None = None
    encodes_ahead: bool = True
    measures: bool = True
    device: str | None = None


class InferenceWorker:
    """Holds the model and a stack, and works for a session.

    :meth:`receive` may be called from any thread; all else belongs to the one thread that works.

    Parameters
    ----------
    predictor : SAM2VideoPredictor
        Its weights on the device it shall run on.
    stack : FrameStack
    send : callable
        Takes each report.
    options : WorkerOptions, optional
    """

    def __init__(
        self,
        predictor: SAM2VideoPredictor,
        stack: FrameStack,
        send: Callable[[FromWorker], object],
        options: WorkerOptions | None = None,
    ) -> None:
        self.options = options or WorkerOptions()
        self._predictor = predictor
        self._stack = stack
        self._send = send
        self._store = store = _opened_store(self.options.embeddings)
        room = max(1, self.options.feature_memory_bytes // feature_bytes(predictor, predictor.dtype.itemsize))
        self._state = predictor.init_state(
            stack, feature_memory_bytes=self.options.feature_memory_bytes, embedding_store=store
        )
        self._features = FeaturesAhead(
            self._state.features,
            len(stack),
            room=room,
            stored_room=0 if store is None else _stored_room(store, predictor, len(stack)),
            works_ahead=self.options.encodes_ahead,
        )
        self._lines = ToldLines(predictor, self._state, store)
        self._expected = ExpectedTime(predictor, self._state)
        self._inbox: deque[ToWorker] = deque()
        self._has_mail = Event()
        self._tasks = TaskQueue()
        self._running: Task | None = None
        self.is_stopped = False
        #: When the worker came by last between two pieces of work.
        self.last_seen = time.monotonic()
        self._is_waiting = False
        send(Ready(PROTOCOL, str(predictor.device)))

    @property
    def busy_for(self) -> float:
        """For how many seconds it has been on one piece of work, for whoever watches over it."""
        return 0.0 if self._is_waiting else time.monotonic() - self.last_seen

    def receive(self, message: ToWorker) -> None:
        """Take a message; from any thread."""
        self._inbox.append(message)
        self._has_mail.set()

    def run(self) -> None:
        """Work until told to stop."""
        try:
            while not self.is_stopped:
                if not self.step() and not self._work_ahead():
                    self._is_waiting = True
                    self._has_mail.wait()
                    self.last_seen, self._is_waiting = time.monotonic(), False
        finally:
            self.close()

    def step(self) -> bool:
        """Do one piece of the most urgent work; False if there is none."""
        self._take_in()
        task = self._tasks.most_urgent()
        if task is None or self.is_stopped:
            return False
        self._advance(task)
        return True

    def close(self) -> None:
        """Let go of the network's memory of the objects; the stack stays open, it belongs to the session."""
        self._lines.close()
        self._state.close(keep_frames_open=True)

    def _take_in(self) -> None:
        self.last_seen = time.monotonic()
        self._has_mail.clear()
        while self._inbox:
            message = self._inbox.popleft()
            if isinstance(message, Stop):
                self.is_stopped = True
                # nothing is waited for any more
                self._has_mail.set()
            elif isinstance(message, LookAt):
                self._features.look_at(message.frame)
            elif isinstance(message, Cancel | Pause | Resume):
                self._control(message)
            elif not isinstance(message, Open | FramePixels):
                self._accept(message)

    def _control(self, message: Cancel | Pause | Resume) -> None:
        task = self._tasks.find(message.job)
        if task is None:
            return
        task.is_paused = isinstance(message, Pause)
        if isinstance(message, Cancel):
            task.is_cancelled = True
            if task is not self._running:
                self._end(task)

    def _accept(self, request: Request) -> None:
        if isinstance(request, Segment):
            self._lines.of(request.line, request.preset).hear([request.object])
            asks = (request.object.id, request.frame)
            pieces = self._segment(request)
            self._tasks.add(
                Task(request.job, Urgency.CLICK, pieces, asks, request.existing, request.line, request.preset)
            )
        elif isinstance(request, Propagate):
            self._lines.of(request.line, request.preset).hear(request.objects)
            task = Task(request.job, Urgency.PROPAGATION, iter(()), line=request.line, preset=request.preset)
            task.pieces = self._propagate(request, task)
            self._tasks.add(task)
        elif isinstance(request, Carry):
            task = Task(request.job, Urgency.PROPAGATION, iter(()))
            task.pieces = self._carry(request, task)
            self._tasks.add(task)
        elif isinstance(request, Everything):
            task = Task(request.job, Urgency.PROPAGATION, iter(()))
            task.pieces = self._everything(request, task)
            self._tasks.add(task)
        elif isinstance(request, Estimate):
            self._tasks.add(Task(request.job, Urgency.CURRENT_FRAME, self._estimate(request)))
        elif isinstance(request, Describe):
            self._tasks.add(Task(request.job, Urgency.CURRENT_FRAME, self._describe(request)))
        else:
            self._tasks.add(Task(request.job, Urgency.BACKGROUND, self._encode(request)))

    def _advance(self, task: Task) -> None:
        outer, self._running = self._running, task
        try:
            if task.is_cancelled or self._tasks.is_superfluous(task):
                self._end(task)
            else:
                next(task.pieces)
        except StopIteration:
            self._end(task)
        except Exception as error:  # whatever goes wrong in one job, the others go on
            self._tasks.remove(task)
            self._send(failure_of(task.job, error))
            self._free_memory(error)
        finally:
            self._running = outer

    def _end(self, task: Task) -> None:
        self._tasks.remove(task)
        close = getattr(task.pieces, "close", None)
        if close is not None:
            close()
        self._send(Finished(task.job))

    def _should_stop(self, task: Task) -> bool:
        """Between two groups of objects: let what is more urgent go first, and say whether the task was cancelled."""
        self._take_in()
        while (urgent := self._tasks.most_urgent(task.urgency)) is not None and self._can_interrupt(urgent, task):
            self._advance(urgent)
        if self._features.wants_current:
            self._work_ahead()
        return task.is_cancelled or self.is_stopped

    def _can_interrupt(self, urgent: Task, task: Task) -> bool:
        # an object that is forgotten in the middle of a frame would be tracked on from memories that are gone
        if urgent.asks is None or (urgent.line, urgent.preset) != (task.line, task.preset):
            return True
        line = self._lines.of(urgent.line, urgent.preset)
        told = line.told
        return (
            line.network.can_hear_of_others
            and not told.must_forget(urgent.asks[0])
            and told.are_all_in(urgent.existing)
        )

    def _work_ahead(self) -> bool:
        self.last_seen = time.monotonic()
        try:
            return self._features.encode_one()
        except Exception as error:  # nobody asked for it; who asks for that frame will be told
            self._features.forget()
            self._free_memory(error)
            return False

    # Requests

    def _segment(self, request: Segment) -> Iterator[None]:
        line = self._lines.of(request.line, request.preset)
        with self._lines.used(line):
            # it may have been closed since the request came
            line.hear([request.object])
            line.told.keep_only(request.existing)
            if request.object.id not in request.existing:
                return
            self._send(Started(request.job, 1))
            found = line.told.answer(request.object.id, line.frames.index(request.frame), request.before)
            if found is not None:
                self._lines.outdate_others(line, [request.object.id])
                self._send(FrameFound(request.job, request.frame, _packed(found)))
            if request.preset == "exact":
                self._features.expect_work_round(request.frame)
            yield

    def _propagate(self, request: Propagate, task: Task) -> Iterator[None]:
        line = self._lines.of(request.line, request.preset)
        with self._lines.used(line), _nothing_kept_of_trials(line, request.objects):
            # it may have been closed since the request came
            line.hear(request.objects)
            line.told.keep_only(request.existing)
            chosen = [one.id for one in request.objects if one.id in request.existing]
            for object_id in chosen:
                line.told.bring_up_to_date([object_id])
                yield
            chosen = [one for one in chosen if line.told.knows(one)]
            if not chosen:
                return
            total, total_steps = propagation_size(request, chosen, line.frames)
            if self.options.measures and total >= MEASURED_FROM:
                self._expected.measure()
            self._send(Started(request.job, total, self._expected.seconds(request.preset, total, total_steps)))
            yield
            found_frames = line.network.propagate(
                LinePropagation(
                    chosen,
                    request.propagator,
                    request.options,
                    None if request.start is None else line.frames.index(request.start),
                    request.count,
                    lambda: self._should_stop(task),
                )
            )
            # not the time between steps, in which the job may be paused and clicks are answered
            taken, count, steps_taken, began = 0.0, 0, 0, time.perf_counter()
            for done, (place, found) in enumerate(found_frames, start=1):
                taken += time.perf_counter() - began
                self._lines.outdate_others(line, chosen)
                self._send(FrameFound(request.job, line.frames[place], _packed(found)))
                # a propagator may go over frames more than once
                self._send(Progress(request.job, done, max(done, total)))
                yield
                count, steps_taken, began = done, steps_taken + len(found), time.perf_counter()
            if count >= MEASURED_FROM:
                self._expected.note(request.preset, taken, count, steps_taken)

    def _estimate(self, request: Estimate) -> Iterator[None]:
        work = request.work
        self._send(Started(request.job, 1))
        self._expected.measure()
        line = range(len(self._stack)) if work.line is None else work.line.frames
        frames, steps = propagation_size(work, [one.id for one in work.objects], line)
        possible: tuple[Preset, ...] = ("exact",) if self._predictor.joint_objects else PRESETS
        told = {preset: self._expected.seconds(preset, frames, steps) for preset in possible}
        self._send(Estimated(request.job, {preset: each for preset, each in told.items() if each is not None}))
        yield

    def _carry(self, request: Carry, task: Task) -> Iterator[None]:
        objects = {
            one.id: {said.frame: said.mask.mask() for said in one.frames if said.mask is not None}
            for one in request.objects
        }
        carrying = VolumeCarrying(
            NetworkTracking(self._predictor, self._state, lambda: self._should_stop(task)),
            [line.frames for line in request.lines],
            objects,
            CarryingOptions(**request.options),
        )
        self._send(Started(request.job, carrying.unit_count))
        for done, found in carrying.run():
            if task.is_cancelled or self.is_stopped:
                return
            if found:
                self._lines.outdate_others(None, objects.keys())
            for frame, masks in found.items():
                self._send(FrameFound(request.job, frame, _packed(masks)))
            self._send(Progress(request.job, done, carrying.unit_count))
            yield

    def _everything(self, request: Everything, task: Task) -> Iterator[None]:
        from sam2_core.inference.mask_generator import GenerationCancelledError
        from sam2_core.session.worker.everything import everything_on

        self._send(Started(request.job, 1))
        try:
            found = everything_on(
                self._predictor,
                self._stack,
                request,
                self._store,
                progress=lambda done, total: self._send(Progress(request.job, done, total)),
                cancelled=lambda: self._should_stop(task),
            )
        except GenerationCancelledError:
            return
        self._send(found)
        yield

    def _encode(self, request: Encode) -> Iterator[None]:
        frames = request.frames or self._features.frames_with_room()
        self._send(Started(request.job, len(frames)))
        for done, frame in enumerate(frames, start=1):
            self._features.encode(frame)
            self._send(Progress(request.job, done, len(frames)))
            yield

    def _describe(self, request: Describe) -> Iterator[None]:
        self._send(Started(request.job, 1))
        maps = self._state.features.get(request.frame).maps
        levels = [
            FeatureLevel(tuple(level.shape), level.float().cpu().contiguous().numpy().tobytes()) for level in maps
        ]
        self._send(FeaturesFound(request.job, request.frame, tuple(levels)))
        yield

    def _free_memory(self, error: Exception) -> None:
        if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
            import torch

            self._lines.forget_memories()
            self._features.forget()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


@contextmanager
def _nothing_kept_of_trials(line: ToldLine, objects: Sequence[ObjectStatement]) -> Iterator[None]:
    """Have objects told anew after a trial, also those of which a later statement was heard meanwhile."""
    try:
        yield
    finally:
        line.told.outdate(one.id for one in objects if one.is_trial)


def failure_of(job: int | None, error: BaseException) -> Failed:
    """Put an error into words for the other side."""
    return Failed(job, type(error).__name__, str(error), "".join(traceback.format_exception(error)))


def _packed(found: Mapping[int, TrackedMask]) -> tuple[FoundMask, ...]:
    """The masks of a frame, packed."""
    return tuple(
        FoundMask(object_id, MaskData.of(one.mask), one.predicted_iou, one.object_score)
        for object_id, one in found.items()
    )


def _stored_room(store: EmbeddingStore, predictor: SAM2VideoPredictor, frames: int) -> int:
    """How many frames may be encoded ahead into the store: half of it, others need room too."""
    return min(frames, store.quota_bytes // 2 // store.needed(1, predictor))


def _opened_store(folder: str | None) -> EmbeddingStore | None:
    if folder is None:
        return None
    from sam2_core.volumes.embedding_store import EmbeddingStore

    try:
        return EmbeddingStore(folder)
    except InvalidInputError as error:  # no reason not to work: features are encoded as they are needed
        _LOGGER.warning("Without an embedding store: %s", error)
        return None
