"""What training says of itself, and who listens to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from sam2_core.hooks.contributions import Contribution, require_callable
from sam2_core.hooks.options import options_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

TrainingEventKind: TypeAlias = Literal["start", "step", "validation", "checkpoint", "end", "failed"]


@dataclass(frozen=True)
class TrainingEvent:
    """One thing that happened in training.

    Attributes
    ----------
    kind : {"start", "step", "validation", "checkpoint", "end", "failed"}
    step : int
        Steps done.
    total_steps : int or None
        Of the whole training, where it is known.
    measures : mapping of str to float
        Losses of a step, metrics of a validation.
    seconds : float
        Since the training began, over all its runs.
    eta_seconds : float or None
        Until it ends, where it can be said.
    path : Path or None
        Of a checkpoint that was written.
    error : BaseException or None
        Why it failed.
    picture : ndarray (y, x, rgb) uint8, or None
        A preview: what the model makes of a frame that it was not trained on.
    """

    kind: TrainingEventKind
    step: int = 0
    total_steps: int | None = None
    measures: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    eta_seconds: float | None = None
    path: Path | None = None
    error: BaseException | None = None
    picture: npt.NDArray[np.uint8] | None = None


class TrainingRun(Protocol):
    """The training that a recipe does or a callback watches."""

    @property
    def folder(self) -> Path:
        """For checkpoints and logs."""

    @property
    def is_stopping(self) -> bool:
        """Whether it is to end after this step: somebody cancelled, a callback asked for it, or the time is up."""

    @property
    def done(self) -> float:
        """The share of the steps or of the time budget that is used up, 0 to 1."""

    def stop(self, reason: str) -> None:
        """End after this step, and say why."""

    def report(self, event: TrainingEvent) -> None:
        """Tell everybody who listens.

        When a step is told, the weights that the model has at that moment may be validated, and kept if they are the
        best so far.
        """


@dataclass(frozen=True, kw_only=True)
class TrainingCallback(Contribution):
    """Watches a training and may end it; one that raises ends it with an error.

    Attributes
    ----------
    make : callable
        ``make(*, …options) -> on_event``, called once a training; ``on_event(event: TrainingEvent, run: TrainingRun) ->
        None`` is called at each event. Its keyword-only parameters are the options.
    """

    make: Callable[..., Callable[[TrainingEvent, TrainingRun], None]]

    def check(self) -> None:
        """Refuse what cannot be called, and options of which no form can be made."""
        super().check()
        require_callable(self.make, self, "make")
        list(options_of(self.make))
