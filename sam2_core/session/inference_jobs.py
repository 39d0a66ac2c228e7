"""What the jobs of the inference worker ask for, and how their results come into the session."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sam2_core.hooks import Propagator, get_plugins
from sam2_core.inference.preset_names import Preset
from sam2_core.session.frame_candidates import FrameCandidates
from sam2_core.session.frame_lines import line_through
from sam2_core.session.items import MaskRecord, SessionPrompt
from sam2_core.session.job import JobKind
from sam2_core.session.worker.messages import (
    CandidatesFound,
    Carry,
    Describe,
    Encode,
    Estimate,
    Estimated,
    Everything,
    FeatureLevel,
    FeaturesFound,
    Found,
    FoundMask,
    FrameFound,
    FrameLine,
    FrameStatement,
    MaskData,
    ObjectStatement,
    Propagate,
    Request,
    Segment,
)

if TYPE_CHECKING:
    from sam2_core.session.annotation_session import AnnotationSession


class Statements:
    """Says to a worker what is known of objects.

    Parameters
    ----------
    session : AnnotationSession
    """

    def __init__(self, session: AnnotationSession) -> None:
        self._session = session
        self._generations: dict[int, int] = {}
        self._numbers = itertools.count(1)

    def outdate(self, object_ids: frozenset[int]) -> None:
        """Note that objects' masks were changed by anything but the worker's results."""
        for object_id in object_ids:
            self._generations[object_id] = next(self._numbers)

    def existing(self) -> tuple[int, ...]:
        """The ids of all objects."""
        return tuple(one.id for one in self._session.objects)

    def of(self, object_id: int, line: FrameLine | None = None, *, is_trial: bool = False) -> ObjectStatement:
        """All that is said of an object, or what is said of it on a line.

        What a worker finds in a trial holds for nothing else, and nothing that it has found for the trial.
        """
        frames = tuple(self._frames(object_id, range(self._session.frame_count) if line is None else line.frames))
        return self._statement(object_id, frames, is_trial=is_trial)

    def masks_of(self, object_id: int, lines: Sequence[FrameLine]) -> ObjectStatement:
        """The masks that an object has on the first line, and those on the others that are not to be replaced."""
        session = self._session
        frames = [line.frames for line in lines]
        said = tuple(
            FrameStatement(frame, mask=MaskData.of(session.pixels(record.mask)), locked=record.is_trusted)
            for frame, record in session.records(object_id).items()
            if frame in frames[0] or (record.is_trusted and any(frame in line for line in frames))
        )
        return self._statement(object_id, said)

    def _statement(
        self, object_id: int, frames: tuple[FrameStatement, ...], *, is_trial: bool = False
    ) -> ObjectStatement:
        revision = next(self._numbers)
        generation = revision if is_trial else self._generations.get(object_id, 0)
        return ObjectStatement(object_id, generation, revision, frames)

    def _frames(self, object_id: int, wanted: range) -> Iterator[FrameStatement]:
        session = self._session
        for frame in session.prompted_frames(object_id):
            if frame not in wanted:
                continue
            prompt = session.prompt(object_id, frame)
            mask = None if prompt.mask is None else MaskData.of(session.pixels(prompt.mask))
            yield FrameStatement(frame, prompt.points, prompt.labels, prompt.box, mask)
        for frame, record in session.records(object_id).items():
            # an empty mask says that the object is not there, which the network cannot be told
            if frame in wanted and record.locked and record.area:
                yield FrameStatement(frame, mask=MaskData.of(session.pixels(record.mask)), locked=True)


class InferenceJob(ABC):
    """A job of the inference worker: its request, and what becomes of its results.

    Parameters
    ----------
    session : AnnotationSession
    """

    kind: JobKind
    label: str
    #: Number of the step that is open as long as it goes on.
    step: int | None = None

    def __init__(self, session: AnnotationSession) -> None:
        self.session = session
        #: How often a worker has crashed over it.
        self.attempts = 0

    def begin(self) -> None:  # noqa: B027  most have nothing to begin
        """Begin, at the moment the job is started."""

    def begin_again(self) -> None:  # noqa: B027  most have nothing to begin
        """Begin again with a new worker."""

    def by_whom(self) -> str:
        """Whose code does it, where that is not this project's; for messages."""
        return ""

    def units(self) -> int:
        """How much work it is, by which jobs of its kind are compared to tell how long it will take."""
        return 1

    @property
    def pace(self) -> str:
        """Jobs of the same take as long for a unit."""
        return self.kind

    @abstractmethod
    def request(self, job_id: int, statements: Statements) -> Request:
        """What to ask the worker; asked again if the worker had to be replaced."""

    def apply(self, found: Found) -> None:  # noqa: B027  most have none
        """Take results into the session."""

    def finish(self) -> Any:
        """End, however far it came; returns the job's result."""
        return None


class SegmentJob(InferenceJob):
    """Answers the prompts of an object on a frame; its result is the mask's record."""

    kind = "segment"

    def __init__(self, session: AnnotationSession, object_id: int, frame: int, prompt: SessionPrompt) -> None:
        super().__init__(session)
        self.label = f"segment {session.object(object_id).name}"
        self._object_id, self._frame, self._prompt, self._preset = object_id, frame, prompt, session.preset
        # of frames along two axes the second is the one that objects are looked at along
        self._line = None if session.grid is None else line_through(session.grid, session.grid.axes[1], frame)
        self._result: MaskRecord | None = None

    def request(self, job_id: int, statements: Statements) -> Request:
        """See :class:`InferenceJob`."""
        existing = statements.existing()
        statement = statements.of(self._object_id, self._line)
        return Segment(job_id, self._frame, statement, existing, self._before(), self._line, self._preset)

    def apply(self, found: Found) -> None:
        """See :class:`InferenceJob`."""
        for one in _masks(found):
            if one.object == self._object_id:
                self._result = self.session.answer(
                    self._object_id, self._frame, self._prompt, one.mask.mask(), one.predicted_iou, one.object_score
                )

    def finish(self) -> MaskRecord | None:
        """See :class:`InferenceJob`."""
        return self._result

    def _before(self) -> MaskData | None:
        """The mask that the prompts correct: one that did not come from these prompts."""
        record = self.session.record(self._object_id, self._frame)
        if record is None or not record.area or record.source == "prompt":
            return None
        return MaskData.of(self.session.pixels(record.mask))


class TrackingJob(InferenceJob):
    """Takes masks of many frames as one step; its result are the frames that have masks now, in the order they came.

    Parameters
    ----------
    session : AnnotationSession
    label : str
    object_ids : sequence of int
    """

    def __init__(self, session: AnnotationSession, label: str, object_ids: Sequence[int]) -> None:
        super().__init__(session)
        self.label = label
        self.object_ids = tuple(object_ids)
        self.step: int | None = None
        self.frames: list[int] = []
        self._found_before: frozenset[int] = frozenset()

    def begin(self) -> None:
        """See :class:`InferenceJob`."""
        self.step = self.session.begin_results(self.label)

    def begin_again(self) -> None:
        """See :class:`InferenceJob`."""
        self._found_before = frozenset(self.frames)

    def apply(self, found: Found) -> None:
        """See :class:`InferenceJob`."""
        if self.step is None or not isinstance(found, FrameFound):
            return
        masks = self.wanted(found)
        if masks:
            self.take(self.step, found.frame, masks)
            if found.frame not in self._found_before:
                self.frames.append(found.frame)

    def take(self, step: int, frame: int, masks: Sequence[FoundMask]) -> None:
        """Take the masks of a frame into the session."""
        results = {one.object: (one.mask.mask(), one.predicted_iou, one.object_score) for one in masks}
        self.session.add_results(step, frame, results, "track")

    def wanted(self, found: FrameFound) -> Sequence[FoundMask]:
        """Which of the masks that were found are taken."""
        return found.masks

    def finish(self) -> list[int]:
        """See :class:`InferenceJob`."""
        if self.step is not None:
            self.session.finish_results(self.step)
            self.step = None
        return self.frames


class PropagateJob(TrackingJob):
    """Carries objects through the stack, or along a line of its frames, with the session's preset."""

    kind: JobKind = "propagate"
    #: Whether what it finds is no part of what the worker knows afterwards.
    is_trial = False

    def __init__(
        self,
        session: AnnotationSession,
        object_ids: Sequence[int],
        *,
        propagator: str,
        start: int | None,
        count: int | None,
        options: dict[str, Any],
        line: FrameLine | None = None,
    ) -> None:
        verb = "compare" if self.is_trial else "track"
        what = f"{len(object_ids)} objects" if len(object_ids) > 1 else "an object"
        where = " in crops" if session.preset == "crops" else ""
        super().__init__(session, f"{verb} {what}{where}", object_ids)
        self._preset: Preset = session.preset
        self._propagator, self._start, self._count, self._options = propagator, start, count, options
        self._line = line

    def request(self, job_id: int, statements: Statements) -> Propagate:
        """See :class:`InferenceJob`."""
        existing = statements.existing()
        objects = tuple(
            statements.of(one, self._line, is_trial=self.is_trial) for one in self.object_ids if one in existing
        )
        return Propagate(
            job_id,
            objects,
            existing,
            self._propagator,
            self._start,
            self._count,
            self._options,
            self._line,
            self._preset,
        )

    @property
    def pace(self) -> str:
        """See :class:`InferenceJob`."""
        return f"{self.kind} {self._preset}"

    def units(self) -> int:
        """See :class:`InferenceJob`."""
        frames = self.session.frame_count if self._line is None else len(self._line.frames)
        return len(self.object_ids) * (frames if self._count is None else min(frames, 2 * self._count))

    def by_whom(self) -> str:
        """See :class:`InferenceJob`."""
        registered = get_plugins().find(Propagator, self._propagator)
        owner = registered.plugin
        return f" with the propagator {self._propagator!r} of plugin {owner.name} {owner.version}".rstrip()


class EstimateJob(InferenceJob):
    """Tells how long a propagation would take; its result are the seconds by preset."""

    kind = "estimate"

    def __init__(self, session: AnnotationSession, work: PropagateJob) -> None:
        super().__init__(session)
        self.label = f"estimate how long it takes to {work.label}"
        self._work = work
        self._seconds: dict[str, float] = {}

    def request(self, job_id: int, statements: Statements) -> Request:
        """See :class:`InferenceJob`."""
        return Estimate(job_id, self._work.request(job_id, statements))

    def apply(self, found: Found) -> None:
        """See :class:`InferenceJob`."""
        if isinstance(found, Estimated):
            self._seconds = dict(found.seconds)

    def finish(self) -> dict[str, float]:
        """See :class:`InferenceJob`."""
        return self._seconds


class CarryJob(TrackingJob):
    """Carries objects' volumes from one time to others."""

    kind = "carry"

    def __init__(
        self,
        session: AnnotationSession,
        object_ids: Sequence[int],
        *,
        lines: Sequence[FrameLine],
        options: dict[str, Any],
    ) -> None:
        label = f"carry {len(object_ids)} objects over time" if len(object_ids) > 1 else "carry an object over time"
        super().__init__(session, label, object_ids)
        self._lines, self._options = tuple(lines), options

    def request(self, job_id: int, statements: Statements) -> Request:
        """See :class:`InferenceJob`."""
        existing = statements.existing()
        objects = tuple(statements.masks_of(one, self._lines) for one in self.object_ids if one in existing)
        return Carry(job_id, objects, self._lines, self._options)

    def units(self) -> int:
        """See :class:`InferenceJob`."""
        return len(self.object_ids) * len(self._lines[0].frames) * (len(self._lines) - 1)

    def wanted(self, found: FrameFound) -> Sequence[FoundMask]:
        """See :class:`TrackingJob`: an empty mask only where it takes the place of another one."""
        there = self.session.records_on(found.frame)
        return [one for one in found.masks if one.mask.bits or one.object in there]


class CompareJob(PropagateJob):
    """Carries objects through the stack to see where that differs from their masks; its result are the frames."""

    kind = "compare"
    is_trial = True

    def take(self, step: int, frame: int, masks: Sequence[FoundMask]) -> None:
        """Note how far a frame's masks are from those that are there."""
        self.session.add_disagreements(step, frame, {one.object: one.mask.mask() for one in masks})


class EverythingJob(InferenceJob):
    """Finds all objects on a frame; its result are the ids of the new ones."""

    kind = "everything"

    def __init__(self, session: AnnotationSession, frame: int, options: dict[str, Any]) -> None:
        super().__init__(session)
        self.label = f"segment everything on frame {frame}"
        self._frame, self._options, self._preset = frame, options, session.preset
        self._ids: list[int] = []

    def request(self, job_id: int, statements: Statements) -> Request:
        """See :class:`InferenceJob`."""
        return Everything(job_id, self._frame, self._options, preset=self._preset)

    def apply(self, found: Found) -> None:
        """See :class:`InferenceJob`."""
        self._ids = self.session.add_found_objects(
            self._frame,
            [(one.mask.mask(), one.predicted_iou, one.object_score) for one in _masks(found)],
            label=self.label,
        )

    def finish(self) -> list[int]:
        """See :class:`InferenceJob`."""
        return self._ids


class CandidatesJob(InferenceJob):
    """Finds all masks on a frame that may be objects; its result are these, from which objects can be made."""

    kind = "everything"

    def __init__(self, session: AnnotationSession, frame: int, options: dict[str, Any]) -> None:
        super().__init__(session)
        self.label = f"look for everything on frame {frame}"
        self._frame, self._options, self._preset = frame, options, session.preset
        self._found: FrameCandidates | None = None

    def request(self, job_id: int, statements: Statements) -> Request:
        """See :class:`InferenceJob`."""
        return Everything(job_id, self._frame, self._options, keeps_candidates=True, preset=self._preset)

    def apply(self, found: Found) -> None:
        """See :class:`InferenceJob`."""
        if isinstance(found, CandidatesFound):
            self._found = FrameCandidates.of(found, self._options)

    def finish(self) -> FrameCandidates | None:
        """See :class:`InferenceJob`."""
        return self._found


class EncodeJob(InferenceJob):
    """Encodes frames, so that clicks on them are answered at once."""

    kind = "encode"

    def __init__(self, session: AnnotationSession, frames: Sequence[int]) -> None:
        super().__init__(session)
        self.label = f"encode {len(frames)} frames" if frames else "encode frames"
        self._frames = tuple(frames)

    def units(self) -> int:
        """See :class:`InferenceJob`."""
        return len(self._frames) or self.session.frame_count

    def request(self, job_id: int, statements: Statements) -> Request:
        """See :class:`InferenceJob`."""
        return Encode(job_id, self._frames)


class FeaturesJob(InferenceJob):
    """Tells a frame's features; its result are their levels."""

    kind = "encode"

    def __init__(self, session: AnnotationSession, frame: int) -> None:
        super().__init__(session)
        self.label = f"features of frame {frame}"
        self._frame = frame
        self._levels: tuple[FeatureLevel, ...] = ()

    def request(self, job_id: int, statements: Statements) -> Request:
        """See :class:`InferenceJob`."""
        return Describe(job_id, self._frame)

    def apply(self, found: Found) -> None:
        """See :class:`InferenceJob`."""
        if isinstance(found, FeaturesFound):
            self._levels = found.levels

    def finish(self) -> tuple[FeatureLevel, ...]:
        """See :class:`InferenceJob`."""
        return self._levels


def _masks(found: Found) -> tuple[FoundMask, ...]:
    return found.masks if isinstance(found, FrameFound) else ()
