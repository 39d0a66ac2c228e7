"""How long tracking will take with each preset: from a measured step, and from what it took before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sam2_core.inference.preset_names import PRESETS, Preset

if TYPE_CHECKING:
    from sam2_core.inference.video_predictor import SAM2VideoPredictor
    from sam2_core.inference.video_state import VideoState


class ExpectedTime:
    """Tells how long tracking will take.

    Parameters
    ----------
    predictor : SAM2VideoPredictor
    state : VideoState
        A step on its last frame is measured.
    """

    def __init__(self, predictor: SAM2VideoPredictor, state: VideoState) -> None:
        self._predictor = predictor
        self._state = state
        self._shares: tuple[float, float] | None = None
        # what propagations took, beside what a step had promised
        self._factors = dict.fromkeys(PRESETS, 1.0)

    @property
    def is_measured(self) -> bool:
        """Whether anything can be told."""
        return self._shares is not None

    def measure(self) -> None:
        """Measure a step, unless one was; nothing is changed."""
        if self._shares is None:
            estimate = self._predictor.estimate(self._state, frames=1, objects=1)
            self._shares = estimate.seconds_per_frame, estimate.seconds_per_object

    def seconds(self, preset: Preset, frames: int, steps: int) -> float | None:
        """How long it will take to go over frames, with so many objects on all of them together; None if not measured.

        With "crops" it is what it takes at most, before one has been seen: objects that lie together share a window.
        """
        return None if self._shares is None else self._factors[preset] * self._promised(preset, frames, steps)

    def note(self, preset: Preset, seconds: float, frames: int, steps: int) -> None:
        """Learn from what a propagation took."""
        if self._shares is not None and frames and steps:
            self._factors[preset] = seconds / self._promised(preset, frames, steps)

    def _promised(self, preset: Preset, frames: int, steps: int) -> float:
        assert self._shares is not None
        a_frame, an_object = self._shares
        # a window is encoded where otherwise a frame is, for each object
        images = steps if preset == "crops" else frames
        return images * a_frame + steps * an_object
