"""A fine-tuning that goes on: its clock, who listens, and the best weights so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from sam2_core.hooks import TrainingEvent, get_plugins
from sam2_core.model import SAM2Base
from sam2_core.training.fine_tuning.validation import ClickValidation
from sam2_core.training.lora import merged_state

#: Of the time, what validations may take.
VALIDATION_SHARE = 0.15
#: Shares of the change that are tried where all of it costs too much elsewhere.
BLENDS = (0.7, 0.45, 0.2)


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
    keeping : ClickValidation, optional
        What the model could do before: weights that lose more than `tolerance` of that IoU are no candidates.
    tolerance : float
    listeners : sequence of callable
        Called with each event; what they raise ends the training. The time that they take is not of the budget.
    should_stop : callable, optional
        Asked after each step.

    Attributes
    ----------
    before, best : float or None
        One-click IoU at the start, and of the best weights.
    kept_before, kept : float or None
        The same of what it could do before.
    share : float
        How much of the change is in the best weights; below 1 they were blended with those of the start.
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
        keeping: ClickValidation | None = None,
        tolerance: float = 0.02,
        listeners: Sequence[Callable[[TrainingEvent], None]] = (),
        should_stop: Callable[[], bool] | None = None,
    ) -> None:
        self.folder = folder
        self.before: float | None = None
        self.best: float | None = None
        self.kept_before: float | None = None
        self.kept: float | None = None
        self.share = 1.0
        self.best_step = self.step = 0
        self.reason: str | None = None
        self._model = model
        self._seconds = seconds
        self._validation = validation
        self._keeping = keeping
        self._tolerance = tolerance
        self._start_state: dict[str, Tensor] = {}
        self._loses_too_much = False
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
        """Share of the budget that is used up, 0 to 1; what is validated at the end belongs to it."""
        left = self._validation_seconds * (1 + len(BLENDS) * self._loses_too_much)
        return min(1.0, (self.elapsed + left) / self._seconds)

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

    def validate(self, share: float = 1.0) -> None:
        """Measure the weights that the model has, and keep them if they are the best so far."""
        if self._validation is None:
            return
        began = time.monotonic()
        measured = self._validation.measure(self._model)
        measures = {"iou": measured.iou}
        kept = None
        if self._keeping is not None:
            kept = measures["kept"] = self._keeping.measure(self._model).iou
        self._validated_at = time.monotonic()
        self._validation_seconds = self._validated_at - began
        if self.before is None:
            self.before, self.kept_before = measured.iou, kept
            self._start_state = self._weights()
        self._loses_too_much = (
            kept is not None and self.kept_before is not None and kept < self.kept_before - self._tolerance
        )
        if not self._loses_too_much and (self.best is None or measured.iou > self.best):
            self.best, self.best_step, self.kept, self.share = measured.iou, self.step, kept, share
            self._state = self._weights()
        assert self.best is not None
        self._tell(
            TrainingEvent("validation", self.step, measures=measures | {"best": self.best}, picture=measured.preview)
        )

    def finish(self) -> None:
        """Validate what the training ended with, and give the model the best weights.

        Where it lost too much of what it could do before, weights between the first and the last are tried.
        """
        if self.step:
            self.validate()
        if self._loses_too_much:
            last = self._weights()
            for share in BLENDS:
                self._model.load_state_dict(
                    {
                        name: torch.lerp(first, last[name], share) if first.is_floating_point() else first
                        for name, first in self._start_state.items()
                    }
                )
                self.validate(share)
        if self._state is not None:
            self._model.load_state_dict(self._state)
        self._model.eval()

    def _weights(self) -> dict[str, Tensor]:
        """Copies under official keys, adapters merged."""
        state = merged_state(self._model.state_dict(), self._model)
        return {name: value.detach().clone() for name, value in state.items()}

    def end(self, path: Path) -> None:
        """Say that it is over, and where the model is."""
        self._tell(TrainingEvent("end", self.step, path=path, measures={} if self.best is None else {"iou": self.best}))

    def _tell(self, event: TrainingEvent) -> None:
        told = replace(event, seconds=self.elapsed, eta_seconds=max(0.0, self._seconds - self.elapsed))
        began = time.monotonic()
        for listener in self._listeners:
            listener(told)
        # a job that is paused waits in there; the budget is for training
        waited = time.monotonic() - began
        self._start += waited
        self._validated_at += waited
        get_plugins().notify("sam2_training_event", event=told)
