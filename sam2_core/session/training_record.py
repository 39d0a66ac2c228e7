"""How a fine-tuning goes: its curves, its last preview, and what came of it, for whoever looks at it now or later."""

from __future__ import annotations

import math
import threading
from typing import Final

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from sam2_core.hooks import TrainingEvent

#: Points of a curve that are kept; of more every second one goes.
MOST_POINTS: Final = 400
Curve = list[tuple[int, float]]


class TrainingRecord:
    """What a fine-tuning has told so far. Calls may come from any thread.

    Attributes
    ----------
    recipe : str
    base : str
        The model that it began with.
    step : int
        Steps done.
    before, best : float or None
        One-click IoU on the frames held back: at the start, and of the best weights so far.
    picture : ndarray (y, x, rgb) uint8, or None
        The last preview: what the model said is green, what is true is red, both are yellow.
    pictures : int
        How many previews there were.
    model : str or None
        Name of the new model, once it is in the catalogue.
    is_used : bool
        Whether the session works with it.
    is_stopping : bool
        Whether somebody wished it to end before its time.
    """

    #: Emitted with the record after each event, in the thread that trains.
    changed = Signal(object)

    def __init__(self, recipe: str, base: str) -> None:
        self.recipe = recipe
        self.base = base
        self.step = 0
        self.before: float | None = None
        self.best: float | None = None
        self.picture: NDArray[np.uint8] | None = None
        self.pictures = 0
        self.model: str | None = None
        self.is_used = False
        self.is_stopping = False
        self._losses: Curve = []
        self._every = 1
        self._ious: Curve = []
        self._lock = threading.Lock()

    @property
    def losses(self) -> Curve:
        """(step, loss), at most 400 of them, evenly spread."""
        with self._lock:
            return list(self._losses)

    @property
    def ious(self) -> Curve:
        """(step, one-click IoU) of each validation."""
        with self._lock:
            return list(self._ious)

    def note(self, event: TrainingEvent) -> None:
        """Take an event in."""
        with self._lock:
            self.step = max(self.step, event.step)
            loss, iou = event.measures.get("loss"), event.measures.get("iou")
            if event.kind == "step" and loss is not None and math.isfinite(loss) and event.step % self._every == 0:
                self._losses.append((event.step, float(loss)))
                if len(self._losses) > MOST_POINTS:
                    self._every *= 2
                    self._losses = [point for point in self._losses if point[0] % self._every == 0]
            if event.kind == "validation" and iou is not None:
                self._ious.append((event.step, float(iou)))
                self.before = float(iou) if self.before is None else self.before
                self.best = max(float(iou), self.best or 0.0)
            if event.picture is not None:
                self.picture, self.pictures = event.picture, self.pictures + 1
        self.changed.emit(self)
