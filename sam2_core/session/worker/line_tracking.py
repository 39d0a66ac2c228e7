"""Objects tracked along a line of frames from masks on some of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from sam2_core.hooks import FrameDone, Propagator, Tracking
from sam2_core.hooks.frame_spans import shared_spans
from sam2_core.session.items import presence_of
from sam2_core.session.mask_pixels import MaskPixels

if TYPE_CHECKING:
    from sam2_core.inference.frame_masks import FrameMasks
    from sam2_core.inference.video_predictor import SAM2VideoPredictor
    from sam2_core.inference.video_state import VideoState


@dataclass(frozen=True, eq=False)
class TrackedMask:
    """A mask that was found.

    Attributes
    ----------
    mask : MaskPixels
    predicted_iou : float, optional
        IoU the model expects.
    object_score : float, optional
        Logit of the object being there.
    """

    mask: MaskPixels
    predicted_iou: float | None = None
    object_score: float | None = None

    @property
    def sureness(self) -> float:
        """Predicted IoU times the probability of being there; 0 for an empty mask, 1 where nothing is predicted."""
        if not self.mask.area:
            return 0.0
        return presence_of(self.object_score) * (1.0 if self.predicted_iou is None else max(self.predicted_iou, 0.0))


@dataclass(frozen=True)
class LineTrack:
    """One object to be tracked along a line.

    Attributes
    ----------
    masks : mapping of int to MaskPixels
        Its masks, none of them empty, by their places on the line; one at least.
    reach : (int, int)
        The first and the last place to look at.
    """

    masks: Mapping[int, MaskPixels]
    reach: tuple[int, int]


class LineTracking(Protocol):
    """What tracks objects along lines of frames."""

    def track(
        self, frames: Sequence[int], axis: str, objects: Mapping[int, LineTrack]
    ) -> Iterator[tuple[int, dict[int, TrackedMask]]]:
        """Track objects from the masks that are given of them, outwards.

        Parameters
        ----------
        frames : sequence of int
            The line.
        axis : str
            What it goes along.
        objects : mapping of int to LineTrack

        Yields
        ------
        place : int
            On the line.
        masks : dict of int to TrackedMask
            Of some of the objects; empty where one is not there.
        """


class NetworkTracking:
    """The network as a :class:`LineTracking`.

    Parameters
    ----------
    predictor : SAM2VideoPredictor
    state : VideoState
        The whole stack.
    should_stop : callable
        Asked before each frame and group of objects.
    """

    def __init__(self, predictor: SAM2VideoPredictor, state: VideoState, should_stop: Callable[[], bool]) -> None:
        self._predictor = predictor
        self._state = state
        self._should_stop = should_stop

    def track(
        self, frames: Sequence[int], axis: str, objects: Mapping[int, LineTrack]
    ) -> Iterator[tuple[int, dict[int, TrackedMask]]]:
        """See :class:`LineTracking`."""
        predictor = self._predictor
        line = predictor.init_line(self._state, frames, axis)
        try:
            for object_id, one in objects.items():
                for place, mask in one.masks.items():
                    # there may be hundreds: each is a piece of work, between which others may go first
                    if self._should_stop():
                        return
                    predictor.prompt_mask(line, place, object_id, mask.paste(line.images.frame_size), others=False)
            propagator = Propagator("outwards", "from given masks", propagate=_outwards(objects))
            for masks in predictor.propagate(line, propagator=propagator, should_stop=self._should_stop):
                yield masks.frame_index, found_masks(masks)
        finally:
            line.close(keep_frames_open=True)


def found_masks(masks: FrameMasks) -> dict[int, TrackedMask]:
    """The masks of a frame at its own size, by object."""
    found = {}
    for row, object_id in enumerate(masks.object_ids):
        iou, score = float(masks.predicted_ious[row]), float(masks.object_scores[row])
        window, logits = masks.part(row)
        found[int(str(object_id))] = TrackedMask(
            MaskPixels.cut((logits > 0).cpu().numpy(), (window.top, window.left)),
            None if np.isnan(iou) else iou,
            None if np.isnan(score) else score,
        )
    return found


def _outwards(objects: Mapping[int, LineTrack]) -> Callable[[Tracking], Iterator[FrameDone]]:
    """Make what tracks each object from its first mask on to the end of its reach, and then back to the beginning."""
    ahead: list[tuple[int, int, Hashable]] = []
    behind: list[tuple[int, int, Hashable]] = []
    for object_id, one in objects.items():
        first, (start, last) = min(one.masks), one.reach
        ahead.append((max(first, start), last + 1, object_id))
        behind.append((start, min(first, last + 1), object_id))

    def outwards(tracking: Tracking) -> Iterator[FrameDone]:
        for start, stop, together in shared_spans(ahead):
            yield from tracking.sweep(range(start, stop), together)
        for start, stop, together in reversed(shared_spans(behind)):
            yield from tracking.sweep(range(stop - 1, start - 1, -1), together)

    return outwards
