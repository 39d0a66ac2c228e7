"""The built-in training callbacks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Annotated

from sam2_core.errors import InvalidInputError
from sam2_core.hooks import TrainingCallback, TrainingEvent, TrainingRun, hookimpl


def stop_when_flat(
    *,
    measure: str = "loss",
    patience: Annotated[int, {"min": 1}] = 5,
    least_gain: Annotated[float, {"min": 0.0}] = 0.0,
    lower_is_better: bool = True,
) -> Callable[[TrainingEvent, TrainingRun], None]:
    """End a training that no longer gets better.

    Parameters
    ----------
    measure : str
        Which measure of the validations to watch.
    patience : int
        After how many validations without gain it ends.
    least_gain : float
        How much counts as a gain.
    lower_is_better : bool
        Whether the measure falls as things get better.
    """
    best, without_gain = math.inf, 0

    def on_event(event: TrainingEvent, run: TrainingRun) -> None:
        nonlocal best, without_gain
        if event.kind != "validation":
            return
        if measure not in event.measures:
            raise InvalidInputError(
                f"stop-when-flat watches {measure!r}, which no validation measures; they measure "
                f"{', '.join(event.measures) or 'nothing'}."
            )
        value = event.measures[measure] if lower_is_better else -event.measures[measure]
        without_gain = 0 if value < best - least_gain else without_gain + 1
        best = min(best, value)
        if without_gain >= patience:
            run.stop(f"{measure} did not get better in {patience} validations")

    return on_event


@hookimpl
def sam2_training_callbacks() -> Iterable[TrainingCallback]:
    """List them."""
    return [TrainingCallback("stop-when-flat", "ends a training that no longer gets better", make=stop_when_flat)]
