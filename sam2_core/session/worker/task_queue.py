"""What is to be done, the most urgent first, in pieces between which something more urgent can come in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from sam2_core.inference.preset_names import Preset
from sam2_core.session.worker.messages import FrameLine


class Urgency(IntEnum):
    """Who goes first."""

    CLICK = 0
    CURRENT_FRAME = 1
    PROPAGATION = 2
    BACKGROUND = 3


@dataclass(eq=False)
class Task:
    """Work in pieces.

    Attributes
    ----------
    job : int
        The job it is for.
    urgency : Urgency
    pieces : iterator
        Does one piece of the work each time it is asked for the next.
    asks : (int, int), optional
        Object and frame that it answers; a later task of the same makes it superfluous.
    line : FrameLine, optional
        The frames that it is about, where it is not about all.
    preset : {"exact", "crops"}
        How they are looked at.
    existing : tuple of int
        For such a task, the objects there are: others will be forgotten.
    is_paused, is_cancelled : bool
    """

    job: int
    urgency: Urgency
    pieces: Iterator[None]
    asks: tuple[int, int] | None = None
    existing: tuple[int, ...] = ()
    line: FrameLine | None = None
    preset: Preset = "exact"
    is_paused: bool = False
    is_cancelled: bool = False


class TaskQueue:
    """Tasks by urgency, and among equals by the order in which they came."""

    def __init__(self) -> None:
        self._tasks: list[Task] = []

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, task: Task) -> None:
        """Put a task in."""
        self._tasks.append(task)

    def find(self, job: int) -> Task | None:
        """The task of a job, if it is not done."""
        return next((task for task in self._tasks if task.job == job), None)

    def most_urgent(self, below: Urgency | None = None) -> Task | None:
        """The task to go on with; only one more urgent than `below`, if given."""
        ready = [task for task in self._tasks if not task.is_paused and (below is None or task.urgency < below)]
        return min(ready, key=lambda task: task.urgency, default=None)

    def is_superfluous(self, task: Task) -> bool:
        """Whether a later task asks the same."""
        later = self._tasks[self._tasks.index(task) + 1 :]
        return task.asks is not None and any(other.asks == task.asks for other in later)

    def remove(self, task: Task) -> None:
        """Take a task out."""
        self._tasks.remove(task)
