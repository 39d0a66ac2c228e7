"""What a training says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class TrainingEvent:
    """One thing that happened.

    Attributes
    ----------
    kind : {"start", "step", "validation", "checkpoint", "end", "failed"}
    step : int
        Steps done.
    total_steps : int, optional
    measures : mapping of str to float
        Losses of a step, metrics of a validation.
    seconds : float
        Spent on steps, over all runs.
    eta_seconds : float, optional
        Until the end.
    path : Path, optional
        Of a checkpoint that was written.
    error : BaseException, optional
        Why it failed.
    """

    kind: str
    step: int = 0
    total_steps: int | None = None
    measures: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    eta_seconds: float | None = None
    path: Path | None = None
    error: BaseException | None = None
