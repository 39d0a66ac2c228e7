"""How the network looks at a line of frames: at each as a whole, or through crops that follow the objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.session.worker.line_tracking import TrackedMask, found_masks
from sam2_core.session.worker.messages import FrameStatement

if TYPE_CHECKING:
    from sam2_core.inference.object_crop_tracker import CropState, CropTracker
    from sam2_core.inference.tile_masks import PlaneMasks
    from sam2_core.inference.video_predictor import SAM2VideoPredictor
    from sam2_core.inference.video_state import VideoState
    from sam2_core.volumes.embedding_store import EmbeddingStore
    from sam2_core.volumes.frame_stack import FrameStack

#: The masks of a frame by object.
Found: TypeAlias = dict[int, TrackedMask]


@dataclass(frozen=True)
class LinePropagation:
    """What a propagation is asked for; frames go by their places on the line.

    Attributes
    ----------
    objects : sequence of int
        Who is carried; the network was told of them.
    propagator : str
    options : dict
        The propagator's own.
    start, count : int, optional
    should_stop : callable
        Asked before each frame and group of objects.
    """

    objects: Sequence[int]
    propagator: str
    options: dict[str, Any]
    start: int | None
    count: int | None
    should_stop: Callable[[], bool]


class LineNetwork(Protocol):
    """What remembers objects along a line of frames."""

    @property
    def can_hear_of_others(self) -> bool:
        """Whether it can be told of objects now, where a propagation of others is going on."""

    def tell(self, object_id: int, said: FrameStatement) -> Callable[[], Found]:
        """Say where an object is on a frame; returns what makes its mask, which not everybody wants."""

    def forget(self, object_id: int) -> None:
        """Forget an object, if it is known."""

    def has_found(self, object_id: int, frame: int) -> bool:
        """Whether it has a mask of an object on a frame."""

    def propagate(self, asked: LinePropagation) -> Iterator[tuple[int, Found]]:
        """Carry objects along the line; yields each frame that is done, with its masks."""

    def forget_memories(self) -> None:
        """Let go of all memories; they are made from the records again."""

    def close(self) -> None:
        """Let go of everything; the frames stay open."""


class WholeFrames:
    """Looks at whole frames.

    Parameters
    ----------
    predictor : SAM2VideoPredictor
    state : VideoState
        The line.
    """

    #: Frames are tracked object by object, each with a memory of its own.
    can_hear_of_others = True

    def __init__(self, predictor: SAM2VideoPredictor, state: VideoState) -> None:
        self._predictor = predictor
        self.state = state

    def tell(self, object_id: int, said: FrameStatement) -> Callable[[], Found]:
        """See :class:`LineNetwork`."""
        if said.mask is not None:
            mask = said.mask.mask().paste(self.state.images.frame_size)
            result = self._predictor.prompt_mask(self.state, said.frame, object_id, mask, others=False)
            if said.locked:
                self._predictor.lock_frame(self.state, object_id, said.frame)
        else:
            result = self._predictor.prompt_points(self.state, said.frame, object_id, **_spots(said), others=False)
        return partial(found_masks, result)

    def forget(self, object_id: int) -> None:
        """See :class:`LineNetwork`."""
        self._predictor.remove_object(self.state, object_id, need_output=False)

    def has_found(self, object_id: int, frame: int) -> bool:
        """See :class:`LineNetwork`."""
        known = self.state.objects.get(object_id)
        return known is not None and known.latest_ref(frame) is not None

    def propagate(self, asked: LinePropagation) -> Iterator[tuple[int, Found]]:
        """See :class:`LineNetwork`."""
        for result in self._predictor.propagate(
            self.state,
            asked.start,
            asked.count,
            propagator=asked.propagator,
            objects=asked.objects,
            should_stop=asked.should_stop,
            **asked.options,
        ):
            yield result.frame_index, found_masks(result)

    def forget_memories(self) -> None:
        """See :class:`LineNetwork`."""
        self.state.forget_memories()

    def close(self) -> None:
        """See :class:`LineNetwork`."""
        self.state.close(keep_frames_open=True)


class FollowingCrops:
    """Looks at crops that follow the objects; see :class:`~sam2_core.inference.object_crop_tracker.CropTracker`.

    Nothing is opened before it is told of the first object.

    Parameters
    ----------
    predictor : SAM2VideoPredictor
    stack : FrameStack
        The line.
    store : EmbeddingStore, optional
        Where features of whole planes, by which a first click is looked at, are looked for and kept.
    """

    def __init__(self, predictor: SAM2VideoPredictor, stack: FrameStack, store: EmbeddingStore | None = None) -> None:
        self._predictor = predictor
        self._stack = stack
        self._store = store

    @cached_property
    def _tracker(self) -> CropTracker:
        from sam2_core.inference.object_crop_tracker import CropTracker

        return CropTracker(self._predictor)

    @cached_property
    def _state(self) -> CropState:
        return self._tracker.init_state(self._stack, embedding_store=self._store)

    @property
    def can_hear_of_others(self) -> bool:
        """See :class:`LineNetwork`: not while a crop is being looked at, from which objects may be taken away."""
        return not self._is_open or self._state.place_at_work is None

    def tell(self, object_id: int, said: FrameStatement) -> Callable[[], Found]:
        """See :class:`LineNetwork`."""
        tracker, state = self._tracker, self._state
        if said.mask is not None:
            mask = said.mask.mask().paste(state.frame_size)
            result = tracker.prompt_mask(state, said.frame, object_id, mask, others=False)
        else:
            result = tracker.prompt_points(state, said.frame, object_id, **_spots(said), others=False)
        return partial(_found_in, result, (object_id,))

    def forget(self, object_id: int) -> None:
        """See :class:`LineNetwork`."""
        if self._is_open and object_id in self._state.objects:
            self._tracker.remove_object(self._state, object_id)

    def has_found(self, object_id: int, frame: int) -> bool:
        """See :class:`LineNetwork`."""
        known = self._state.objects.get(object_id) if self._is_open else None
        return known is not None and bool(self._state.records.parts(frame, known.number))

    def propagate(self, asked: LinePropagation) -> Iterator[tuple[int, Found]]:
        """See :class:`LineNetwork`."""
        from sam2_core.inference.plane_sweeps import PlaneSweeps
        from sam2_core.inference.propagator_choice import PropagatorChoice

        sweeps = PlaneSweeps(
            self._tracker,
            self._state,
            asked.objects,
            start=asked.start,
            count=asked.count,
            should_stop=asked.should_stop,
        )
        chosen = PropagatorChoice.of(asked.propagator, None, False, asked.options)
        for result in chosen.run(sweeps):
            yield result.frame_index, _found_in(result, asked.objects)

    def forget_memories(self) -> None:
        """See :class:`LineNetwork`."""
        if self._is_open:
            for place in self._state.videos:
                if place != self._state.place_at_work:
                    self._state.videos.close_video(place)

    def close(self) -> None:
        """See :class:`LineNetwork`."""
        if self._is_open:
            self._state.close()

    @property
    def _is_open(self) -> bool:
        return "_state" in vars(self)


def _spots(said: FrameStatement) -> dict[str, Any]:
    """Points and box of a statement, as predictors and trackers take them."""
    return {
        "points": np.array(said.points, np.float32) if said.points else None,
        "labels": np.array(said.labels, np.int32) if said.points else None,
        "box": None if said.box is None else np.array(said.box, np.float32),
    }


def _found_in(result: PlaneMasks, objects: Sequence[int]) -> Found:
    """Masks of some objects on a frame."""
    found = {}
    for one in result.objects:
        if one.object_id in objects:
            window, iou, score = one.window, one.predicted_iou, one.object_score
            found[int(str(one.object_id))] = TrackedMask(
                MaskPixels.cut(one.mask, (window.top, window.left)),
                None if np.isnan(iou) else iou,
                None if np.isnan(score) else score,
            )
    return found
