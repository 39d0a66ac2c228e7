"""A fine-tuning that goes on: its clock, who listens, and the best weights so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from sam2_core.hooks import TrainingEvent, get_plugins
from sam2_core.model import SAM2Base
from sam2_core.training.fine_tuning.validation import ClickValidation
from sam2_core.training.lora import merged_state

#: Of the time, what validations may take.
VALIDATION_SHARE = 0.15


class TuningRun:
    """The :class:`~sam2_core.hooks.TrainingRun` of a fine-tuning.

    Parameters
    ----------
    model : SAM2Base
        What is trained; copies of its weights are kept.
    folder : Path
        For logs.
    seconds : float
        The budget, from now on.
    validation : ClickValidation, optional
        Says which weights are best; without one it is the last.
    listeners : sequence of callable
        Called with each event; what they raise ends the training.
    should_stop : callable, optional
        Asked after each step.

    Attributes
    ----------
    before, best : float or None
        One-click IoU at the start, and of the best weights.
    best_step, step : int
    reason : str or None
        Why it ended before the budget was used up.
    """

    def __init__(
        self,
        model: SAM2Base,
        folder: Path,
        seconds: float,
        validation: ClickValidation | None,
        listeners: Sequence[Callable[[TrainingEvent], None]] = (),
        should_stop: Callable[[], bool] | None = None,
    ) -> None:
        self.folder = folder
        self.before: float | None = None
        self.best: float | None = None
        self.best_step = self.step = 0
        self.reason: str | None = None
        self._model = model
        self._seconds = seconds
        self._validation = validation
        self._listeners = listeners
        self._should_stop = should_stop
        self._state: dict[str, Tensor] | None = None
        self._start = time.monotonic()
        self._validated_at = self._start
        self._validation_seconds = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    @property
    def done(self) -> float:
        """Share of the budget that is used up, 0 to 1; the last validation belongs to it."""
        return min(1.0, (self.elapsed + self._validation_seconds) / self._seconds)

    @property
    def is_stopping(self) -> bool:
        """Whether to end after this step."""
        if self.reason is None and self._should_stop is not None and self._should_stop():
            self.stop("somebody asked for it")
        return self.reason is not None or self.done >= 1.0

    def stop(self, reason: str) -> None:
        """End after this step."""
        self.reason = self.reason or reason

    def report(self, event: TrainingEvent) -> None:
        """Tell of a step, and validate now and then."""
        if event.kind != "step":
            self._tell(event)
            return
        self.step = event.step
        self._tell(event)
        since = time.monotonic() - self._validated_at
        if since * VALIDATION_SHARE >= self._validation_seconds and not self.is_stopping:
            self.validate()

    def begin(self) -> None:
        """Say that it begins, and validate the weights that it begins with."""
        self._tell(TrainingEvent("start"))
        self.validate()

    def validate(self) -> None:
        """Measure the weights that the model has, and keep them if they are the best so far."""
        if self._validation is None:
            return
        began = time.monotonic()
        measured = self._validation.measure(self._model)
        self._validated_at = time.monotonic()
        self._validation_seconds = self._validated_at - began
        if self.before is None:
            self.before = measured.iou
        if self.best is None or measured.iou > self.best:
            self.best, self.best_step = measured.iou, self.step
            self._state = {
                name: value.detach().clone()
                for name, value in merged_state(self._model.state_dict(), self._model).items()
            }
        self._tell(
            TrainingEvent(
                "validation", self.step, measures={"iou": measured.iou, "best": self.best}, picture=measured.preview
            )
        )

    def finish(self) -> None:
        """Validate what the training ended with, and give the model the best weights."""
        if self.step:
            self.validate()
        if self._state is not None:
            self._model.load_state_dict(self._state)
        self._model.eval()

    def end(self, path: Path) -> None:
        """Say that it is over, and where the model is."""
        self._tell(TrainingEvent("end", self.step, path=path, measures={} if self.best is None else {"iou": self.best}))

    def _tell(self, event: TrainingEvent) -> None:
        told = replace(event, seconds=self.elapsed, eta_seconds=max(0.0, self._seconds - self.elapsed))
        for listener in self._listeners:
            listener(told)
        get_plugins().notify("sam2_training_event", event=told)
