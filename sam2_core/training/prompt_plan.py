"""Which frames of a training video get which prompts (Ravi et al. 2024, arXiv:2408.00714, appendix D)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from sam2_core.errors import ConfigError, InvalidInputError


@dataclass(frozen=True)
class PromptOptions:
    """How prompts are simulated, in training or in evaluation.

    Attributes
    ----------
    point_probability
        How often a video is prompted with points or boxes rather than with masks.
    box_probability
        How often a frame of such a video gets a box rather than a point.
    corrected_frames
        Frames that receive correction clicks, the prompted ones included; a random number up to it with
        `random_corrected`.
    prompted_frames
        Frames that are prompted before tracking starts, the first of the video included; a random number up to it
        with `random_prompted`.
    """

    point_probability: float = 0.0
    box_probability: float = 0.0
    corrected_frames: int = 1
    random_corrected: bool = False
    prompted_frames: int = 1
    random_prompted: bool = False

    def __post_init__(self) -> None:
        for name in ("point_probability", "box_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is a probability, from 0 to 1; got {getattr(self, name)}")
        if self.prompted_frames < 1:
            raise ConfigError(f"at least one frame has to be prompted; got {self.prompted_frames}")
        if self.point_probability > 0 and self.corrected_frames < self.prompted_frames:
            raise ConfigError(
                f"every frame that is prompted with points is corrected too: {self.corrected_frames} corrected frames "
                f"are fewer than {self.prompted_frames} prompted ones"
            )


@dataclass(frozen=True)
class PromptPlan:
    """What was decided for one batch.

    Attributes
    ----------
    uses_points
        Points and boxes rather than masks.
    boxes
        For each prompted frame, in order, whether it gets a box.
    prompted
        Frames prompted before tracking; the first of the video comes first.
    tracked
        All other frames, in order.
    corrected
        Frames that receive correction clicks.
    """

    uses_points: bool
    boxes: tuple[bool, ...]
    prompted: tuple[int, ...]
    tracked: tuple[int, ...]
    corrected: frozenset[int]


def draw_plan(
    random: np.random.Generator,
    options: PromptOptions,
    frame_count: int,
    *,
    first: int = 0,
    usable: Collection[int] | None = None,
) -> PromptPlan:
    """Decide which frames get which prompts.

    Random numbers are drawn in the official order: the same generator gives the official decisions.

    Parameters
    ----------
    random : numpy Generator
    options : PromptOptions
        A video of one frame is always prompted with points on it.
    frame_count : int
    first : int
        Frame that tracking starts from.
    usable : collection of int, optional
        Frames whose masks are known, so that prompts can be taken from them; all by default.

    Raises
    ------
    InvalidInputError
        The first frame is not usable.
    """
    known = set(range(first, frame_count) if usable is None else usable)
    if first not in known:
        raise InvalidInputError(
            f"Nothing is labelled in frame {first}, where tracking starts: the sampler has to begin with a labelled "
            "frame."
        )
    probability, corrected, prompted = options.point_probability, options.corrected_frames, options.prompted_frames
    if frame_count == 1:
        probability, corrected, prompted = 1.0, 1, 1
    prompted, corrected = min(prompted, len(known)), min(corrected, len(known))
    uses_points = bool(random.random() < probability)
    if not uses_points:
        # a frame whose mask is given teaches nothing: one at least is tracked
        prompted = min(prompted, frame_count - first - 1)
    if options.random_prompted and prompted > 1:
        prompted = int(random.integers(1, prompted, endpoint=True))
    if uses_points and options.random_corrected and corrected > prompted:
        corrected = int(random.integers(prompted, corrected, endpoint=True))

    conditioning = [first]
    if prompted > 1:
        conditioning += _chosen(random, [t for t in range(first + 1, frame_count) if t in known], prompted - 1)
    tracked = [t for t in range(first, frame_count) if t not in conditioning]
    boxes = tuple(uses_points and bool(random.random() < options.box_probability) for _ in conditioning)
    clicked = conditioning if uses_points else []
    if uses_points and corrected > prompted:
        clicked = conditioning + _chosen(random, [t for t in tracked if t in known], corrected - prompted)
    return PromptPlan(uses_points, boxes, tuple(conditioning), tuple(tracked), frozenset(clicked))


def _chosen(random: np.random.Generator, frames: Sequence[int], count: int) -> list[int]:
    return [int(t) for t in random.choice(frames, count, replace=False)]
