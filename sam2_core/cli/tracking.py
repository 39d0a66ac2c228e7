"""Tracking prompted objects through a stack, frame by frame into a label writer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sam2_core.cli.object_table import ObjectTable
from sam2_core.cli.prompts import FramePrompt, ObjectPrompts
from sam2_core.cli.propagator_option import PropagatorOption
from sam2_core.cli.track_plan import Direction, Stretch, plan_stretches
from sam2_core.hooks import FilterChain
from sam2_core.volumes.frame_stack import FrameStack
from sam2_core.volumes.labels import LabelWriter

if TYPE_CHECKING:
    from sam2_core.inference.frame_masks import FrameMasks
    from sam2_core.inference.video_predictor import SAM2VideoPredictor
    from sam2_core.inference.video_state import VideoState

Priority = Literal["surest", "lower id", "last"]


@dataclass(frozen=True)
class TrackRules:
    """What is tracked where, and whose a pixel is.

    Attributes
    ----------
    reach : range
        The frames that are looked at.
    direction : Direction
        Which way from an object's first prompted frame.
    stop_when_empty : int, optional
        Give up an object once its mask was empty on so many frames in a row.
    priority : {"surest", "lower id", "last"}
        Whose a pixel is that several masks hold.
    group_size : int
        How many objects go together.
    filters : FilterChain
        Clean the labels.
    propagator : PropagatorOption, optional
        How objects are carried on, if not by every frame from those before it.
    """

    reach: range
    direction: Direction = Direction.BOTH
    stop_when_empty: int | None = None
    priority: Priority = "surest"
    group_size: int = 64
    filters: FilterChain = field(default_factory=FilterChain)
    propagator: PropagatorOption | None = None

    @property
    def goes_as_it_likes(self) -> bool:
        """Whether the propagator chooses itself over which frames it goes."""
        return self.propagator is not None and not self.propagator.has_direction

    def plan(self, objects: Sequence[tuple[int, int]]) -> list[Stretch]:
        """Plan what is tracked over which frames.

        Parameters
        ----------
        objects : sequence of (int, int)
            Each object's id and its first prompted frame.
        """
        # those of neighbouring frames together, so that a group begins late or ends early
        ordered = sorted(objects, key=lambda one: (one[1], one[0]))
        groups = [ordered[start : start + self.group_size] for start in range(0, len(ordered), self.group_size)]
        if self.goes_as_it_likes:
            every = [tuple(object_id for object_id, _ in group) for group in groups]
            return [Stretch(self.reach.start, len(self.reach), False, ids) for ids in every]
        return [stretch for group in groups for stretch in plan_stretches(dict(group), self.reach, self.direction)]


def prompt_objects(
    predictor: SAM2VideoPredictor, state: VideoState, objects: Iterable[ObjectPrompts]
) -> Iterator[ObjectPrompts]:
    """Give a state its prompts, and hand out each object once that is done."""
    for one in objects:
        for frame, prompt in sorted(one.frames.items()):
            _prompt(predictor, state, frame, one.object_id, prompt)
        yield one


def _prompt(predictor: SAM2VideoPredictor, state: VideoState, frame: int, object_id: int, prompt: FramePrompt) -> None:
    if prompt.mask is not None:
        predictor.prompt_mask(state, frame, object_id, prompt.mask.full, others=False)
        return
    predictor.prompt_points(
        state,
        frame,
        object_id,
        np.array(prompt.points, dtype=np.float32) if prompt.points else None,
        np.array(prompt.labels, dtype=np.int32) if prompt.points else None,
        box=np.array(prompt.box, dtype=np.float32) if prompt.box is not None else None,
        others=False,
    )


@dataclass
class Tracking:
    """Prompted objects on their way through a stack.

    Labels are a view of the tracker's records: each frame is written anew whenever something more is known of it, so
    that the destination can be read at any time. What the records already hold, from an earlier process that was
    stopped or killed, is not computed again.

    Attributes
    ----------
    predictor : SAM2VideoPredictor
    state : VideoState
        With its objects prompted.
    rules : TrackRules
    labels : LabelWriter
        Filled.
    table : ObjectTable
        Gets the scores.
    should_stop : callable
        Asked between steps.
    """

    predictor: SAM2VideoPredictor
    state: VideoState
    rules: TrackRules
    labels: LabelWriter
    table: ObjectTable
    should_stop: Callable[[], bool] = field(default=lambda: False)

    def __post_init__(self) -> None:
        firsts = [(int(str(one)), min(self.state.objects[one].prompted_frames())) for one in self.state.obj_ids]
        self.stretches = self.rules.plan(firsts)

    def __len__(self) -> int:
        return sum(stretch.count for stretch in self.stretches)

    def run(self) -> Iterator[int]:
        """Track, write, and hand out the number of each frame done, until the end or until somebody wishes to stop."""
        for stretch in self.stretches:
            if self.should_stop():
                return
            present = self._not_ended(stretch)
            if not present:
                for index in stretch.frames:
                    self._write_labels(index)
                    yield index
                continue
            for found in self._steps(stretch, present):
                self._write(found)
                yield found.frame_index
        if self.rules.goes_as_it_likes and not self.should_stop():
            # it may have left out frames of which prompts say something
            for index in self.rules.reach:
                if not self.labels.is_written(index):
                    self._write_labels(index)

    def _steps(self, stretch: Stretch, present: list[int]) -> Iterator[FrameMasks]:
        """Carry objects over a stretch; or over the stack, where the propagator goes as it likes."""
        chosen = self.rules.propagator
        how: dict[str, Any] = {} if chosen is None else {"propagator": chosen.name, **chosen.options}
        where: tuple[int, ...] = ()
        if not self.rules.goes_as_it_likes:
            where = stretch.start, stretch.count
            how["direction"] = "backward" if stretch.reverse else "forward"
        return self.predictor.propagate(
            self.state,
            *where,
            objects=present,
            stop_when_empty=self.rules.stop_when_empty,
            resume=True,
            should_stop=self.should_stop,
            **how,
        )

    def _write(self, found: FrameMasks) -> None:
        index = found.frame_index
        self._write_labels(index)
        ids = [int(str(object_id)) for object_id in found.object_ids]
        scores = [probability(logit) for logit in found.object_scores.tolist()]
        self.table.score(index, ids, found.predicted_ious.tolist(), scores)

    def _write_labels(self, index: int) -> None:
        # labels of all objects, since others may have been here before
        labels = self.predictor.labels_on_frame(self.state, index, self.rules.priority)
        self.labels.write(index, self.rules.filters.apply_to_labels(labels))

    def _not_ended(self, stretch: Stretch) -> list[int]:
        """Who of a stretch has not been given up before, by what the records say."""
        limit = self.rules.stop_when_empty
        if limit is None or self.rules.goes_as_it_likes:
            return list(stretch.object_ids)
        return [object_id for object_id in stretch.object_ids if not self._has_ended(object_id, stretch, limit)]

    def _has_ended(self, object_id: int, stretch: Stretch, limit: int) -> bool:
        tracked: Any = self.state.objects[object_id]
        frames, prompted = stretch.frames, tracked.prompted_frames()
        if any(frame in frames for frame in prompted):
            return False
        for back in range(1, limit + 1):
            frame = stretch.start - frames.step * back
            if frame in prompted or frame not in self.rules.reach:
                return False
            record = tracked.latest(frame)
            if record is not None and bool(record.mask.any()):
                return False
        return True


def track_objects(
    predictor: SAM2VideoPredictor,
    stack: FrameStack,
    objects: Sequence[ObjectPrompts],
    labels: LabelWriter,
    table: ObjectTable,
    rules: TrackRules,
) -> Iterator[int]:
    """Track objects through a stack in one go, without anything to continue from.

    Parameters
    ----------
    predictor : SAM2VideoPredictor
    stack : FrameStack
    objects : sequence of ObjectPrompts
    labels : LabelWriter
        Filled.
    table : ObjectTable
        Gets the scores.
    rules : TrackRules

    Yields
    ------
    int
        The number of each frame done, once for each direction.
    """
    state = predictor.init_state(stack)
    try:
        for _ in prompt_objects(predictor, state, objects):
            pass
        yield from Tracking(predictor, state, rules, labels, table).run()
    finally:
        state.close()


def probability(logit: float) -> float:
    """Turn a logit into a probability."""
    # written so that neither end overflows
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))
