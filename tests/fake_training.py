"""A fine-tuning that is over as soon as it is told to be, so that front-ends can be tried without a network."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sam2_core.hooks import TrainingEvent
from sam2_core.session.annotation_session import AnnotationSession


class FakeTraining:
    """Takes the place of fine_tune: some steps, a validation, and on until it is stopped or `gate` is set."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.options: list[dict[str, Any]] = []
        self.error: Exception | None = None

    def __call__(
        self,
        volume: Any,
        labels: Any,
        recipe: str,
        budget: float,
        on_event: Callable[[TrainingEvent], None],
        *,
        should_stop: Callable[[], bool],
        **options: Any,
    ) -> Any:
        self.options.append({"recipe": recipe, "budget": budget, "labels": labels, **options})
        picture = np.zeros((40, 60, 3), np.uint8)
        on_event(TrainingEvent("start"))
        on_event(TrainingEvent("validation", 0, measures={"iou": 0.5}, picture=picture))
        for step in range(1, 6):
            on_event(TrainingEvent("step", step, measures={"loss": 1 / step}, seconds=float(step)))
        picture = picture.copy()
        picture[:, :, 1] = 200
        on_event(TrainingEvent("validation", 5, measures={"iou": 0.75}, picture=picture))
        while not self.gate.wait(0.005) and not should_stop():
            on_event(TrainingEvent("step", 5, measures={"loss": 0.2}, seconds=5.0))
        if self.error is not None:
            raise self.error
        on_event(TrainingEvent("end", 5, measures={"iou": 0.75}))
        return SimpleNamespace(name=options["name"] or f"cells-{recipe}")


def fake_training(monkeypatch: pytest.MonkeyPatch) -> FakeTraining:
    """Have sessions train so, and take any name for a model."""
    training = FakeTraining()
    monkeypatch.setattr("sam2_core.training.fine_tuning.fine_tune.fine_tune", training)
    monkeypatch.setattr("sam2_core.checkpoints.build.model_config", lambda _: None)
    return training


def accept_some(session: AnnotationSession, frames: int = 3) -> None:
    """One object, with a locked mask on the first few frames."""
    one = session.add_object()
    for frame in range(frames):
        mask = np.zeros(session.frame_size, bool)
        mask[20:60, 30:80] = True
        session.paint(one.id, frame, mask)
