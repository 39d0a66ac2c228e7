"""What a session says of itself to plugins that listen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

SessionEventKind: TypeAlias = Literal["opened", "changed", "job", "closed"]


@dataclass(frozen=True)
class SessionEvent:
    """One thing that happened in a session, after it was written.

    Attributes
    ----------
    kind : {"opened", "changed", "job", "closed"}
    folder : Path
        Of the session.
    step : str
        What was done, as menus name it; for a job, what it does.
    what : frozenset of {"object", "prompt", "mask", "disagreement"}
        What changed.
    objects : frozenset of int
        Of which objects.
    frames : frozenset of int
        On which frames.
    boxes : mapping of int to (int, int, int, int)
        For each frame the box (x0, y0, x1, y1) of pixels that may differ.
    job_state : str
        "waiting", "running", "paused", "done", "failed" or "cancelled"; empty for other events.
    """

    kind: SessionEventKind
    folder: Path
    step: str = ""
    what: frozenset[str] = frozenset()
    objects: frozenset[int] = frozenset()
    frames: frozenset[int] = frozenset()
    boxes: Mapping[int, tuple[int, int, int, int]] = field(default_factory=dict)
    job_state: str = ""
