"""Starting jobs: the part of a session that works with the network, in the background or here and now."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.hooks import Propagator, get_plugins
from sam2_core.hooks.options import checked_options
from sam2_core.session.inference_jobs import (
    CandidatesJob,
    EncodeJob,
    EverythingJob,
    FeaturesJob,
    PropagateJob,
    SegmentJob,
)
from sam2_core.session.items import MaskRecord
from sam2_core.session.job import Job, JobList
from sam2_core.session.session_state import SessionState
from sam2_core.session.training_job import TrainingWork
from sam2_core.session.training_labels import LearnedMasks

if TYPE_CHECKING:
    from sam2_core.session.annotation_session import AnnotationSession
    from sam2_core.session.job_runner import JobRunner
    from sam2_core.session.local_jobs import Progress

WorkerKind: TypeAlias = Literal["thread", "process"]


class JobStarting(SessionState, ABC):
    """The part of :class:`AnnotationSession` that starts jobs.

    With a worker in a thread or process of its own each ``start_…`` returns at once, and the work goes on in the
    background. Without one the work is done before it returns.
    """

    if TYPE_CHECKING:

        @property
        def runner(self) -> JobRunner: ...  # noqa: D102  that of AnnotationSession

    @property
    def jobs(self) -> JobList:
        """What was started, oldest first; ``jobs.active`` has not ended."""
        return self.runner.jobs

    @property
    def current_frame(self) -> int:
        """The frame a person looks at: it is encoded first, then those round it, as long as nothing else is to do."""
        return self._current_frame

    @current_frame.setter
    def current_frame(self, frame: int) -> None:
        self._current_frame = self.checked_frame(frame)
        if self.can_segment:
            self.runner.look_at(self._current_frame)

    _current_frame = 0

    @property
    @abstractmethod
    def can_segment(self) -> bool:
        """Whether there is a model, and the session may be changed."""

    def start_segment(self, object_id: int, frame: int) -> Job:
        """Answer what is said of an object on a frame; the mask belongs to the step in which it was said.

        An answer that comes after something else was said there is dropped.

        Parameters
        ----------
        object_id, frame : int

        Returns
        -------
        Job
            Its result is the mask's :class:`~sam2_core.session.items.MaskRecord`, or None if it came too late.

        Raises
        ------
        StateError
            There is no such object, nothing was said of it on this frame, or the session cannot segment.
        """
        session = self._session()
        one, frame = self.object(object_id), self.checked_frame(frame)
        prompt = self.prompt(object_id, frame)
        if prompt.is_empty:
            raise StateError(f"Nothing was said of {one.name} on frame {frame}; click on it, or draw a box around it.")
        return self._started(self.runner.start(SegmentJob(session, object_id, frame, prompt)))

    def start_propagate(
        self,
        object_ids: Sequence[int] | None = None,
        *,
        propagator: str = "both",
        start: int | None = None,
        count: int | None = None,
        **options: Any,
    ) -> Job:
        """Carry objects through the stack.

        One step of the history, whatever the number of frames; what came until it is cancelled stays. Locked masks and
        what a person does meanwhile are never overwritten.

        Parameters
        ----------
        object_ids : sequence of int, optional
            All that have a prompt or a locked mask by default.
        propagator : str
            A registered one's name: "both", "forward", "backward", "between-corrections", or a plugin's.
        start, count : int, optional
            First frame, the earliest prompt by default; and how many in each direction, all by default.
        **options
            The propagator's own.

        Returns
        -------
        Job
            Its result are the frames, in the order in which they came.

        Raises
        ------
        StateError
            There is no such object, none has a prompt or a locked mask, or the session cannot segment.
        PluginError
            There is no such propagator.
        InvalidInputError, InvalidTypeError
            There is no such frame or option.
        """
        work = self._propagation(object_ids, propagator, start, count, options)
        return self._started(self.runner.start(work))

    def start_everything(self, frame: int, **options: Any) -> Job:
        """Find all objects on a frame and make objects of them, as one step; those that are there already are left out.

        Parameters
        ----------
        frame : int
        **options
            Those of :class:`~sam2_core.SAM2AutomaticMaskGenerator`, such as ``points_per_side``.

        Returns
        -------
        Job
            Its result are the new objects' ids. Each has its mask as prompt, so that it can be propagated.
        """
        return self._started(self.runner.start(EverythingJob(self._session(), self.checked_frame(frame), options)))

    def start_candidates(self, frame: int, **options: Any) -> Job:
        """Find all masks on a frame that may be objects, to choose among them without the network.

        Nothing is made of them yet: :meth:`AnnotationSession.add_candidates` does that, as often as the thresholds are
        changed. It takes somewhat longer than :meth:`start_everything`.

        Parameters
        ----------
        frame : int
        **options
            Those of :class:`~sam2_core.SAM2AutomaticMaskGenerator`; its ``pred_iou_thresh`` and
            ``stability_score_thresh`` are the lowest that can be chosen later.

        Returns
        -------
        Job
            Its result are the :class:`~sam2_core.session.frame_candidates.FrameCandidates`.
        """
        return self._started(self.runner.start(CandidatesJob(self._session(), self.checked_frame(frame), options)))

    def start_encode(self, frames: Sequence[int] | None = None) -> Job:
        """Encode frames ahead, so that clicks on them are answered at once.

        Parameters
        ----------
        frames : sequence of int, optional
            As many as there is room for round the current one by default.
        """
        checked = [] if frames is None else [self.checked_frame(frame) for frame in frames]
        if frames is not None and not checked:
            raise InvalidInputError(
                "Name at least one frame to encode, or none to encode as many as there is room for."
            )
        return self._started(self.runner.start(EncodeJob(self._session(), checked)))

    def start_features(self, frame: int) -> Job:
        """Have a frame's features told.

        Returns
        -------
        Job
            Its result are the levels, finest first: each a
            :class:`~sam2_core.session.worker.messages.FeatureLevel` of float32 values (1, C, y, x).
        """
        return self._started(self.runner.start(FeaturesJob(self._session(), self.checked_frame(frame))))

    def start_export(self, path: Path | str, format: str | None = None, **options: Any) -> Job:
        """Write the objects as labels; see :func:`~sam2_core.session.export.export_labels` for formats and options.

        Returns
        -------
        Job
            Its result is the path. A session that is open for reading only, or without a model, can do this too.
        """
        from sam2_core.session.export import export_labels

        if options.get("frames") is not None:
            # once, since an iterator can be gone through only once
            options["frames"] = [self.checked_frame(frame) for frame in options["frames"]]
        frames = options.get("frames")
        total = self.frame_count if frames is None else len(frames)
        steps = export_labels(self._whole(), path, format=format, **options)

        def work(progress: Progress) -> Path:
            progress(0, total)
            for done, _ in enumerate(steps, start=1):
                progress(done, total)
            return Path(path)

        return self._started(self.runner.start_local("export", f"export to {Path(path).name}", work))

    def start_train(
        self,
        recipe: str = "decoder",
        budget: str | float = "5 min",
        *,
        masks: LearnedMasks = "accepted",
        labelled_frames: Iterable[int] | None = None,
        validation_frames: Iterable[int] | None = None,
        name: str | None = None,
        model: str | Path | None = None,
        use: bool = True,
        **options: Any,
    ) -> Job:
        """Let the model learn from the session's masks; see :func:`~sam2_core.fine_tune`.

        The masks are taken as they are now. :meth:`Job.stop <sam2_core.session.job.Job.stop>` ends it early and keeps
        the best so far, ``cancel()`` keeps nothing. It goes on in a thread beside the session's worker, if that has a
        thread or process of its own.

        Parameters
        ----------
        recipe : str
            "decoder", "memory", "lora", "all", or a plugin's.
        budget : str or float
            How long it may take: "5 min", "90 s", or a number of seconds.
        masks : {"accepted", "all"}
            Learn from the masks that are locked, or from all.
        labelled_frames : iterable of int, optional
            Learn from these frames only.
        validation_frames : iterable of int, optional
            Of them, those to hold back; one of five by default. None of them: the last weights count as the best.
        name : str, optional
            Of the new model; made of the stack's name and the recipe by default.
        model : str or path, optional
            What to begin with; the session's model by default.
        use : bool
            Whether the session works with the new model as soon as it is there, as by :meth:`use_model`.
        **options
            The recipe's own, and ``image_size``.

        Returns
        -------
        Job
            Its result is a :class:`~sam2_core.training.fine_tuning.fine_tune.FineTuned`; `training` tells how it goes.

        Raises
        ------
        StateError
            There are no such masks, the session cannot segment, or its model has no name.
        PluginError
            There is no such recipe.
        InvalidInputError, InvalidTypeError, DestinationExistsError
            The budget, an option, a frame or the name is wrong, or the masks are too few.
        """
        work = TrainingWork(
            self._session(),
            recipe,
            budget,
            masks=masks,
            frames=labelled_frames,
            validation_frames=validation_frames,
            name=name,
            base=model,
            use=use,
            options=options,
        )
        label = f"fine-tune, recipe {recipe}"
        job = self.runner.start_local("train", label, work, stop=work.stop, training=work.record)
        return self._started(job)

    def segment(self, object_id: int, frame: int) -> MaskRecord | None:
        """Answer what is said of an object on a frame, and wait for it; see :meth:`start_segment`."""
        answer: MaskRecord | None = self.start_segment(object_id, frame).wait()
        return answer

    def propagate(
        self,
        object_ids: Sequence[int] | None = None,
        *,
        propagator: str = "both",
        start: int | None = None,
        count: int | None = None,
        should_stop: Callable[[], bool] | None = None,
        **options: Any,
    ) -> Iterator[int]:
        """Carry objects through the stack, and yield each frame once its masks are in the session.

        Parameters are those of :meth:`start_propagate`, and `should_stop`, which is asked before each frame; once it
        says True, or the loop is left, the propagation ends, and what came stays.
        """
        work = self._propagation(object_ids, propagator, start, count, options)
        return self.runner.frames_of(work, should_stop)

    def _propagation(
        self,
        object_ids: Sequence[int] | None,
        propagator: str,
        start: int | None,
        count: int | None,
        options: dict[str, Any],
    ) -> PropagateJob:
        session = self._session()
        # looked at here too, so that what is wrong is told before a step begins
        checked_options(get_plugins().find(Propagator, propagator).contribution.propagate, options)
        chosen = self._trackable(object_ids)
        first = None if start is None else self.checked_frame(start)
        return PropagateJob(session, chosen, propagator=propagator, start=first, count=count, options=options)

    def _trackable(self, object_ids: Sequence[int] | None) -> list[int]:
        wanted = [one.id for one in self.objects] if object_ids is None else list(dict.fromkeys(object_ids))
        known = []
        for object_id in wanted:
            one = self.object(object_id)
            if self.prompted_frames(object_id) or any(
                record.locked and record.area for record in self.records(object_id).values()
            ):
                known.append(object_id)
            elif object_ids is not None:
                raise StateError(f"{one.name} cannot be tracked: click on it on some frame first.")
        if not known:
            raise StateError("There is nothing to track: click on an object first.")
        return known

    def _started(self, job: Job) -> Job:
        self.runner.finish_here(job)
        return job

    def _session(self) -> AnnotationSession:
        """The whole session, if it can segment."""
        if not self.can_segment:
            raise StateError(
                "This session cannot segment: "
                + ("it is open for reading only." if self.read_only else "open it with a model, model=load_model(…).")
            )
        return self._whole()

    @abstractmethod
    def _whole(self) -> AnnotationSession: ...
