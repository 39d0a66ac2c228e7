"""Starting jobs: the part of a session that works with the network, in the background or here and now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from sam2_core.checkpoints.catalogue import everything_thresholds
from sam2_core.errors import InvalidInputError, StateError
from sam2_core.hooks import Propagator, get_plugins
from sam2_core.hooks.options import checked_options
from sam2_core.session.frame_lines import line_through, only_line
from sam2_core.session.frame_looking import FrameLooking, require_possible
from sam2_core.session.inference_jobs import (
    CandidatesJob,
    CarryJob,
    CompareJob,
    EncodeJob,
    EstimateJob,
    EverythingJob,
    FeaturesJob,
    PropagateJob,
    SegmentJob,
)
from sam2_core.session.items import MaskRecord
from sam2_core.session.job import Job, JobList
from sam2_core.session.training_job import TrainingWork
from sam2_core.session.training_labels import LearnedMasks
from sam2_core.session.worker.volume_carrying import CarryingOptions

if TYPE_CHECKING:
    from sam2_core.session.annotation_session import AnnotationSession
    from sam2_core.session.local_jobs import Progress
    from sam2_core.volumes.labels.opening import LabelSource

WorkerKind: TypeAlias = Literal["thread", "process"]
Direction: TypeAlias = Literal["forward", "backward"]


class JobStarting(FrameLooking):
    """The part of :class:`AnnotationSession` that starts jobs.

    With a worker in a thread or process of its own each ``start_…`` returns at once, and the work goes on in the
    background. Without one the work is done before it returns.
    """

    @property
    def jobs(self) -> JobList:
        """What was started, oldest first; ``jobs.active`` has not ended."""
        return self.runner.jobs

    def undo(self) -> str:
        """Take back what was done last; returns what it was.

        A propagation that is going on is cancelled, and what it has found so far taken back.

        Raises
        ------
        StateError
            There is nothing to undo, or it is still going on and no job that could be cancelled.
        """
        # in the order in which results come in: the runner's lock first, and then the journal's
        with self._telling_afterwards(), self.runner.holding_results():
            last = self._journal.next_undo()
            if last is not None and self.runner.cancel_step(last.id):
                left = self._journal.next_undo()
                if left is None or left.id < last.id:
                    # nothing had been found yet, so the step is gone
                    return last.label
            return super().undo()

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
        require_possible(self.preset, session.model)
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
        along: str | None = None,
        **options: Any,
    ) -> Job:
        """Carry objects through the stack; in a stack along two axes, along one of them.

        One step of the history, whatever the number of frames; what came until it is cancelled stays. Locked masks and
        what a person does meanwhile are never overwritten.

        Parameters
        ----------
        object_ids : sequence of int, optional
            All that have a prompt or a locked mask by default.
        propagator : str
            A registered one's name: "both", "forward", "backward", "between-corrections", or a plugin's.
        start, count : int, optional
            The frame at which all begin, by default each object's own earliest prompt; and for how many frames an
            object is followed in each direction, all by default.
        along : str, optional
            In a stack along two axes, such as t and z: which one to track along, at the start's position on the other
            one; by default the second, z.
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
        work = self._propagation(object_ids, propagator, start, count, along, options)
        return self._started(self.runner.start(work))

    def start_estimate(
        self,
        object_ids: Sequence[int] | None = None,
        *,
        propagator: str = "both",
        start: int | None = None,
        count: int | None = None,
        along: str | None = None,
        **options: Any,
    ) -> Job:
        """Tell how long a propagation would take with each :attr:`preset`, before it is started.

        A step is measured; nothing is changed.

        Parameters
        ----------
        object_ids, propagator, start, count, along, **options
            As for :meth:`start_propagate`.

        Returns
        -------
        Job
            Its result are seconds by preset, such as ``{"exact": 12.5, "crops": 20.0}``. Until a propagation in crops
            was seen, that one is the most it takes: objects that lie together share a crop.

        Raises
        ------
        StateError, PluginError, InvalidInputError, InvalidTypeError
            As for :meth:`start_propagate`.
        """
        work = self._propagation(object_ids, propagator, start, count, along, options)
        return self._started(self.runner.start(EstimateJob(self._session(), work)))

    def start_carry(
        self,
        object_ids: Sequence[int] | None = None,
        *,
        time: int | None = None,
        direction: Direction = "forward",
        count: int | None = None,
        **options: Any,
    ) -> Job:
        """Carry objects' volumes from one time to the next ones, in a stack along t and z.

        Each slice is tracked along t from the time before, and the slices of a time are reconciled along z: those on
        which tracking along t and along z agree stay, and all others are tracked along z from those. Each time is
        carried on from what was found at the one before. One step of the history, whatever the number of times; what
        came until it is cancelled stays. Locked and painted masks and answers to prompts are kept, and gone by.

        Parameters
        ----------
        object_ids : sequence of int, optional
            All that have masks at that time by default.
        time : int, optional
            From which time; by default the only one at which there are masks.
        direction : {"forward", "backward"}
            Towards the last or the first time.
        count : int, optional
            To how many times; all that are left by default.
        **options
            Those of :class:`~sam2_core.session.worker.volume_carrying.CarryingOptions`: ``reconciles``, ``agreement``,
            ``growth``, ``remembered``.

        Returns
        -------
        Job
            Its result are the frames, in the order in which they came.

        Raises
        ------
        StateError
            There is no such object, one has no masks at that time, or the session cannot segment.
        InvalidInputError, InvalidTypeError
            The stack is not along t and another axis; there is no such time, direction or option.
        """
        return self._started(self.runner.start(self._carrying(object_ids, time, direction, count, options)))

    def start_compare(
        self,
        object_ids: Sequence[int] | None = None,
        *,
        propagator: str = "inward",
        start: int | None = None,
        count: int | None = None,
        along: str | None = None,
        **options: Any,
    ) -> Job:
        """Carry objects through the stack a second time, and note where that differs from the masks they have.

        No mask is changed. The :class:`~sam2_core.session.review.ReviewQueue` ranks by what was noted as long as the
        mask is the one that was compared; see :meth:`disagreements`. One step of the history.

        Parameters
        ----------
        object_ids, start, count, along, **options
            As for :meth:`start_propagate`.
        propagator : str
            The second opinion: another one than the masks come from. "inward" comes from both ends of the stack.

        Returns
        -------
        Job
            Its result are the frames, in the order in which they came.

        Raises
        ------
        StateError, PluginError, InvalidInputError, InvalidTypeError
            As for :meth:`start_propagate`; or there is no mask to compare with.
        """
        work = self._propagation(object_ids, propagator, start, count, along, options, CompareJob)
        if not any(self.masked_frames(one) for one in work.object_ids):
            raise StateError("There is nothing to compare with: track the objects first.")
        return self._started(self.runner.start(work))

    def start_everything(self, frame: int, **options: Any) -> Job:
        """Find all objects on a frame and make objects of them, as one step; those that are there already are left out.

        Parameters
        ----------
        frame : int
        **options
            Those of :class:`~sam2_core.SAM2AutomaticMaskGenerator`, such as ``points_per_side``. Thresholds that are
            not given are those that suit the session's model, see :func:`everything_thresholds
            <sam2_core.checkpoints.catalogue.everything_thresholds>`.

        Returns
        -------
        Job
            Its result are the new objects' ids. Each has its mask as prompt, so that it can be propagated.
        """
        return self._start_everything(EverythingJob, frame, options)

    def start_candidates(self, frame: int, **options: Any) -> Job:
        """Find all masks on a frame that may be objects, to choose among them without the network.

        Nothing is made of them yet: :meth:`AnnotationSession.add_candidates` does that, as often as the thresholds are
        changed. It takes somewhat longer than :meth:`start_everything`. With the preset "crops" they are looked for
        tile by tile; one that reaches over the edge of its tile is cut off there.

        Parameters
        ----------
        frame : int
        **options
            As for :meth:`start_everything`; ``pred_iou_thresh`` and ``stability_score_thresh`` are the lowest that can
            be chosen later.

        Returns
        -------
        Job
            Its result are the :class:`~sam2_core.session.frame_candidates.FrameCandidates`.
        """
        return self._start_everything(CandidatesJob, frame, options)

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

        With the format "geff" or "trackmate", or such a name (``.geff``, ``.xml``), write them as tracks: see
        :func:`~sam2_core.session.lineage.write_geff`, :func:`~sam2_core.session.lineage.write_trackmate`.

        Returns
        -------
        Job
            Its result is the path. A session that is open for reading only, or without a model, can do this too.
        """
        from sam2_core.session.export import export_labels
        from sam2_core.session.lineage import track_writer

        self.runner.require_open()
        label = f"export to {Path(path).name}"
        write_tracks = track_writer(path, format)
        if write_tracks is not None:
            overwrite = options.pop("overwrite", False)
            if options:
                raise InvalidInputError(f"Tracks are written as a whole, without the options {', '.join(options)}.")

            def write(progress: Progress) -> Path:
                progress(0, 1)
                write_tracks(self._whole(), path, overwrite=overwrite)
                progress(1, 1)
                return Path(path)

            return self._started(self.runner.start_local("export", label, write))
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

        return self._started(self.runner.start_local("export", label, work))

    def start_train(
        self,
        recipe: str = "decoder",
        budget: str | float = "5 min",
        *,
        masks: LearnedMasks = "accepted",
        labels: LabelSource | None = None,
        labelled_frames: Iterable[int] | None = None,
        validation_frames: Iterable[int] | None = None,
        name: str | None = None,
        model: str | Path | None = None,
        use: bool = True,
        **options: Any,
    ) -> Job:
        """Let the model learn from the session's masks, or from other labels; see :func:`~sam2_core.fine_tune`.

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
        labels : path, array or LabelStack, optional
            Learn from these rather than from the session's masks: what :func:`~sam2_core.volumes.open_labels` opens, of
            the session's frames.
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
            labels=labels,
            frames=labelled_frames,
            validation_frames=validation_frames,
            name=name,
            base=model,
            use=use,
            options=options,
        )
        label = f"fine-tune, recipe {recipe}"
        job = self.runner.start_local("train", label, work, stop=work.stop, discard=work.discard, training=work.record)
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
        along: str | None = None,
        should_stop: Callable[[], bool] | None = None,
        **options: Any,
    ) -> Iterator[int]:
        """Carry objects through the stack, and yield each frame once its masks are in the session.

        Parameters are those of :meth:`start_propagate`, and `should_stop`, which is asked before each frame; once it
        says True, or the loop is left, the propagation ends, and what came stays.
        """
        work = self._propagation(object_ids, propagator, start, count, along, options)
        return self.runner.frames_of(work, should_stop)

    def carry(
        self,
        object_ids: Sequence[int] | None = None,
        *,
        time: int | None = None,
        direction: Direction = "forward",
        count: int | None = None,
        should_stop: Callable[[], bool] | None = None,
        **options: Any,
    ) -> Iterator[int]:
        """Carry objects' volumes over time, and yield each frame once its masks are in the session.

        Parameters are those of :meth:`start_carry`, and `should_stop`, as for :meth:`propagate`.
        """
        return self.runner.frames_of(self._carrying(object_ids, time, direction, count, options), should_stop)

    def _start_everything(self, kind: type[EverythingJob | CandidatesJob], frame: int, options: dict[str, Any]) -> Job:
        session = self._session()
        asked = {**everything_thresholds(session.model), **options}
        return self._started(self.runner.start(kind(session, self.checked_frame(frame), asked)))

    def _propagation(
        self,
        object_ids: Sequence[int] | None,
        propagator: str,
        start: int | None,
        count: int | None,
        along: str | None,
        options: dict[str, Any],
        kind: type[PropagateJob] = PropagateJob,
    ) -> PropagateJob:
        session, grid = self._session(), self.grid
        require_possible(self.preset, session.model)
        # looked at here too, so that what is wrong is told before a step begins
        checked_options(get_plugins().find(Propagator, propagator).contribution.propagate, options)
        first = None if start is None else self.checked_frame(start)
        line = None
        if grid is None:
            if along not in (None, session.stack.axis):
                raise InvalidInputError(
                    f"The frames of this stack are along {session.stack.axis}; got along={along!r}."
                )
        elif first is not None:
            line = line_through(grid, along or grid.axes[1], first)
        else:
            wanted = self._trackable(object_ids, range(self.frame_count))
            line = only_line(
                grid, along or grid.axes[1], [frame for one in wanted for frame in self._fixed_frames(one)]
            )
        chosen = self._trackable(object_ids, range(self.frame_count) if line is None else line.frames)
        return kind(session, chosen, propagator=propagator, start=first, count=count, options=options, line=line)

    def _carrying(
        self,
        object_ids: Sequence[int] | None,
        time: int | None,
        direction: Direction,
        count: int | None,
        options: dict[str, Any],
    ) -> CarryJob:
        session, grid = self._session(), self.grid
        if grid is None or "t" not in grid.axes:
            raise InvalidInputError(
                'Volumes are carried over time in a stack along t and z: open the session on volume.stack("tz").'
            )
        if direction not in ("forward", "backward"):
            raise InvalidInputError(f'direction is "forward" or "backward"; got {direction!r}.')
        given: object = count  # callers need not have heeded the types
        if given is not None and (not isinstance(given, int | np.integer) or isinstance(given, bool) or given < 1):
            raise InvalidInputError(f"count is a number of times, at least 1; got {count!r}.")
        CarryingOptions(**checked_options(CarryingOptions, options))
        wanted = [one.id for one in self.objects] if object_ids is None else list(dict.fromkeys(object_ids))
        filled = {
            one: [frame for frame, record in self.records(self.object(one).id).items() if record.area] for one in wanted
        }
        if time is None:
            masked = sorted({grid.position(frame)["t"] for frames in filled.values() for frame in frames})
            if not masked:
                raise StateError(
                    "No object has a mask that could be carried: segment one on the slices of a time first."
                )
            if len(masked) > 1:
                raise InvalidInputError(
                    f"Objects have masks at t = {', '.join(map(str, masked))}; say from when to carry, with time=…."
                )
            first = masked[0]
        else:
            first = grid.checked("t", time)
        step = 1 if direction == "forward" else -1
        left = grid.size("t") - 1 - first if step > 0 else first
        times = [first + step * number for number in range(1 + (left if count is None else min(count, left)))]
        lines = [line_through(grid, grid.other("t"), grid.frame({"t": one, grid.other("t"): 0})) for one in times]
        chosen = [one for one, frames in filled.items() if any(frame in lines[0].frames for frame in frames)]
        missing = [] if object_ids is None else [one for one in wanted if one not in chosen]
        if missing or not chosen:
            name = self.object(missing[0]).name if missing else "No object"
            raise StateError(f"{name} has {'no' if missing else 'a'} mask at t = {first} to be carried from there.")
        if len(lines) < 2:
            raise InvalidInputError(
                f"t = {first} is the {'last' if step > 0 else 'first'} time; nothing comes after it."
            )
        return CarryJob(session, chosen, lines=lines, options=options)

    def _trackable(self, object_ids: Sequence[int] | None, frames: range) -> list[int]:
        wanted = [one.id for one in self.objects] if object_ids is None else list(dict.fromkeys(object_ids))
        known = []
        for object_id in wanted:
            one = self.object(object_id)
            # prompts first: there are few of them, and a mask for every frame
            if any(frame in frames for frame in self.prompted_frames(object_id)) or any(
                frame in frames for frame in self._locked_frames(object_id)
            ):
                known.append(object_id)
            elif object_ids is not None:
                where = (
                    " on some frame"
                    if len(frames) == self.frame_count
                    else " on one of these frames, or lock a mask there,"
                )
                raise StateError(f"{one.name} cannot be tracked: click on it{where} first.")
        if not known:
            raise StateError("There is nothing to track: click on an object first.")
        return known

    def _fixed_frames(self, object_id: int) -> list[int]:
        """Frames that an object can be tracked from: with a prompt, or a locked mask that is not empty."""
        return [*self.prompted_frames(object_id), *self._locked_frames(object_id)]

    def _locked_frames(self, object_id: int) -> list[int]:
        return [frame for frame, record in self.records(object_id).items() if record.locked and record.area]

    def _started(self, job: Job) -> Job:
        self.runner.finish_here(job)
        return job

    def _session(self) -> AnnotationSession:
        """The whole session, if it can segment."""
        self.runner.require_open()
        if not self.can_segment:
            raise StateError(
                "This session cannot segment: "
                + ("it is open for reading only." if self.read_only else "open it with a model, model=load_model(…).")
            )
        return self._whole()
