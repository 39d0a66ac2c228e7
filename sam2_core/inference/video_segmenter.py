"""Segment and track objects through a video or a z-stack, by our own names."""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch

from sam2_core.errors import InvalidInputError, StateError
from sam2_core.hooks import Propagator
from sam2_core.inference.empty_frames import empty_frames_allowed
from sam2_core.inference.frame_masks import FrameMasks
from sam2_core.inference.label_view import LabelView, Priority, label_numbers
from sam2_core.inference.propagation import Direction, Propagation
from sam2_core.inference.propagator_choice import PropagatorChoice
from sam2_core.inference.propagator_tracking import PropagatorTracking
from sam2_core.inference.tracked_object import TrackedObject
from sam2_core.inference.tracking_estimate import Preset, TrackingEstimate, estimate_tracking
from sam2_core.inference.video_prompting import VideoPrompting
from sam2_core.inference.video_prompts import checked_frame_count, checked_frame_index
from sam2_core.inference.video_state import VideoState
from sam2_core.inference.video_stream import StreamFrames

#: Low-resolution logits that are held at once to make labels of.
VIEW_BYTES = 64 * 2**20
#: Frames of a stream of which records can still be looked up.
STREAM_RECORDS = 4096


class VideoSegmenter(VideoPrompting):
    """Propagation and results: the part of :class:`SAM2VideoPredictor`, whose options it takes, that is our own."""

    @torch.inference_mode()
    def masks_on_frame(self, state: VideoState, frame_index: int) -> FrameMasks:
        """Return what is known of all objects on a frame, without running the network.

        Only where records were dropped because of their quota are the objects tracked to this frame again.

        Parameters
        ----------
        state : VideoState
            The video, from :meth:`~sam2_core.SAM2VideoPredictor.init_state`.
        frame_index : int
            Index of the frame, from 0.

        Returns
        -------
        FrameMasks
            All N objects on this frame: logits (N, 1, H, W) at the frame's size, and scores (N,). An object that was
            neither prompted on this frame nor tracked to it has logits of -1024 and scores of NaN.

        Raises
        ------
        InvalidTypeError, InvalidInputError
            ``frame_index`` is no integer, or there is no such frame.
        """
        frame_index = checked_frame_index(frame_index, state.num_frames)
        return self._results(state, frame_index, list(state.objects.values()))

    def propagate(
        self,
        state: VideoState,
        start_frame: int | None = None,
        frame_count: int | None = None,
        *,
        direction: Direction | None = None,
        reverse: bool = False,
        objects: Sequence[Hashable] | None = None,
        keep_corrections: bool = True,
        stop_when_empty: int | Literal["auto"] | None = "auto",
        resume: bool = False,
        already: Container[int] = (),
        should_stop: Callable[[], bool] | None = None,
        propagator: str | Propagator | None = None,
        **options: Any,
    ) -> Iterator[FrameMasks]:
        """Carry the objects through the stack, frame by frame.

        Every frame is tracked from those before it, unless a propagator is named that does it otherwise: in another
        order, with another memory, or with masks chosen by more than the model's own opinion. `sam2 plugins list`
        shows which there are.

        Objects may be added, corrected and removed between two frames: those added, or corrected on a frame that is
        still to come, are taken along from the next frame on (see :meth:`recompute` for the frames already passed).

        Parameters
        ----------
        state : VideoState
            The video, from :meth:`~sam2_core.SAM2VideoPredictor.init_state`.
        start_frame : int, optional
            Index of the frame to begin with, from 0; by default the earliest conditioning frame, one with a prompt that
            was not the correction of a tracked frame; of each object its own, where a propagator is named that goes so.
        frame_count : int, optional
            How many frames in each direction, the first included, 0 or more; by default, and at most, all that are
            left.
        direction : {"forward", "backward", "both"}, optional
            Towards the stack's last frame (the default), its first, or first the one and then, from the frame before
            ``start_frame``, the other. For a propagator that has an option of this name.
        reverse : bool
            Short for ``direction="backward"``.
        objects : sequence of hashable, optional
            Only these objects; by default all, with those added meanwhile.
        keep_corrections : bool
            Leave masks as they are where a person corrected a tracked frame, rather than track those frames again.
            Locked frames are never tracked again.
        stop_when_empty : int, "auto" or None
            Give up an object once its mask was empty on so many frames in a row, until its next conditioning frame;
            None never does. "auto" is 3 along z, where an object that has ended does not come back, else None.
        resume : bool
            Take up a propagation with the same arguments, objects and prompts that was broken off (also in an earlier
            process, where the state has its records in a folder): frames it had completed come from the records.
        already : container of int, optional
            With ``resume``, frames of which the caller has the results: where they had been completed, they are
            neither read nor handed out again.
        should_stop : callable, optional
            Asked before each frame and each group of objects; once it says True the iteration ends. Of a frame that was
            not completed nothing is handed out, and ``resume`` computes it again.
        propagator : str or Propagator, optional
            Name of a propagator, or one that is not registered. It may come back to a frame, whose masks are then
            handed out again, and hand out some of the objects only.
        **options
            Of the propagator.

        Returns
        -------
        iterator of FrameMasks
            For each frame, computed when it is asked for, all N objects: logits (N, 1, H, W) at the frame's size,
            which are large and made when asked for, and scores (N,).

        Raises
        ------
        StateError
            There is no object, one without any prompt, or none of an id in ``objects``.
        InvalidTypeError
            ``start_frame`` or ``frame_count`` is no integer.
        InvalidInputError
            There is no such frame, direction or option, or a number is negative. All of these at the call, before the
            first frame.
        PluginError
            There is no such propagator; or, later, it failed.
        """
        if state.images.stack.grid is not None:
            raise InvalidInputError(
                f"{state.images.stack.name} has frames along two axes, of which the last one along the second is no "
                "neighbour of the first at the next place. Track along one of them: open a line of them with init_line."
            )
        choice = PropagatorChoice.of(propagator, direction, reverse, options)
        if start_frame is not None:
            start_frame = checked_frame_index(start_frame, state.num_frames)
        if frame_count is not None:
            frame_count = checked_frame_count(frame_count)
        limit = empty_frames_allowed(stop_when_empty, state.images.stack.axis)
        wanted = None if objects is None else [state.existing_object(object_id) for object_id in objects]
        self._commit_prompts(state, wanted)
        tracking = PropagatorTracking(
            self,
            state,
            wanted,
            Propagation(keep_corrections, limit, should_stop, already),
            start=start_frame,
            count=frame_count,
            run={"keep": keep_corrections, "stop": limit, **choice.description()} if resume else None,
        )
        return choice.run(tracking)

    @torch.inference_mode()
    def step(self, state: VideoState, frame: Any) -> FrameMasks:
        """Take in the next frame of a stream and track all objects to it.

        Memory stays bounded however long the stream is: few frames are kept, records go to disk, and what is known of
        frames long past is let go of, but for prompted and locked ones.

        Parameters
        ----------
        state : VideoState
            The stream, from :meth:`~sam2_core.SAM2VideoPredictor.init_stream`.
        frame : ndarray
            (y, x) or (y, x, channel), of the shape and dtype of the first frame.

        Returns
        -------
        FrameMasks
            All N objects on this frame. Prompts on it, or on another frame that is still kept, count from the next
            frame on.

        Raises
        ------
        StateError
            The state is no stream.
        InvalidTypeError, InvalidInputError
            The frame is no image, or unlike the first.
        """
        stack = state.images.stack
        if not isinstance(stack, StreamFrames):
            raise StateError("step takes the next frame of a stream; open one with init_stream, or use propagate.")
        frame_index = stack.append(frame)
        objects = list(state.objects.values())
        result = self._next_frame(state, objects, frame_index, False, False, Propagation(True, None, None))
        state.forget_before(frame_index - STREAM_RECORDS)
        state.records.flush()
        return result

    def labels_on_frame(
        self, state: VideoState, frame_index: int, priority: Priority = "surest"
    ) -> np.ndarray[Any, np.dtype[np.int32]]:
        """Make labels of the masks on a frame; the masks themselves may overlap and stay as they are.

        Parameters
        ----------
        state : VideoState
            The video, from :meth:`~sam2_core.SAM2VideoPredictor.init_state`.
        frame_index : int
            Index of the frame, from 0.
        priority : {"surest", "lower id", "last"} or sequence of hashable
            Whose a pixel is that several masks hold: of the highest logit; of the lowest number; of the object that
            came last; or of the first one in a list of all object ids.

        Returns
        -------
        ndarray
            (y, x) int32 at the size of the frame: 0, or the object's id where all ids are positive integers, else its
            place in ``state.obj_ids``, from 1.

        Raises
        ------
        InvalidTypeError, InvalidInputError
            There is no such frame or priority, or a list of ids is not complete.
        """
        frame_index = checked_frame_index(frame_index, state.num_frames)
        numbers = label_numbers(list(state.objects))
        view = LabelView(state.images.frame_size, numbers, priority, self.device)
        # most of hundreds of objects may not be here at all
        present = [tracked for tracked in state.objects.values() if tracked.latest_ref(frame_index) is not None]
        height, width = self.sam_prompt_encoder.mask_input_size
        # objects that constrain each other are looked at together
        portion = len(present) if self.non_overlap_masks else max(1, VIEW_BYTES // (height * width * 4))
        for start in range(0, len(present), max(1, portion)):
            view.add(self._results(state, frame_index, present[start : start + portion]))
        return view.labels

    @torch.inference_mode()
    def estimate(
        self,
        state: VideoState,
        frames: int | None = None,
        objects: int | None = None,
        *,
        presets: Mapping[str, Preset] | None = None,
    ) -> TrackingEstimate:
        """Measure a step and say what tracking will take; nothing is changed.

        Parameters
        ----------
        state : VideoState
            The video, from :meth:`~sam2_core.SAM2VideoPredictor.init_state`.
        frames, objects : int, optional
            How many; by default those of the state.
        presets : mapping of str to callable, optional
            Cheaper ways to track, asked for their seconds: called with the state, the frames and the objects.

        Returns
        -------
        TrackingEstimate
            Seconds and bytes.

        Raises
        ------
        InvalidInputError
            A negative number.
        """
        return estimate_tracking(self, state, frames, objects, presets)

    @torch.inference_mode()
    def _next_frame(
        self,
        state: VideoState,
        objects: list[TrackedObject],
        frame_index: int,
        reverse: bool,
        is_done: bool,
        propagation: Propagation,
    ) -> FrameMasks:
        """Track to a frame all objects that are to be tracked there; one that is done comes from the records."""
        if any(tracked.pending for tracked in objects):
            self._take_prompts_in(state, objects)
        active = [each for each in objects if each.conditioning and not propagation.has_given_up(each, frame_index)]
        if is_done:
            result = self._results(state, frame_index, objects)
        else:
            result = self._track_frame(
                state,
                active,
                frame_index,
                reverse,
                propagation.keep_corrections,
                should_stop=propagation.should_stop,
            )
            if len(active) < len(objects):
                result = self._with_the_others(state, result, objects)
        propagation.count_empty(active, frame_index)
        return result

    def _with_the_others(self, state: VideoState, result: FrameMasks, objects: list[TrackedObject]) -> FrameMasks:
        """Add rows for objects that were not tracked to a frame, with what is on record for them."""
        complete = self._results(state, result.frame_index, objects)
        rows = {object_id: row for row, object_id in enumerate(complete.object_ids)}
        return replace(
            complete, replaced={rows[result.object_ids[row]]: before for row, before in result.replaced.items()}
        )
