"""What happens in sessions and trainings, written to Python's log under ``sam2_core.session`` and ``.training``."""

from __future__ import annotations

import logging

from sam2_core.hooks import SessionEvent, TrainingEvent, hookimpl

_session = logging.getLogger("sam2_core.session")
_training = logging.getLogger("sam2_core.training")


@hookimpl
def sam2_session_event(event: SessionEvent) -> None:
    """Log one line, at level INFO; changes of pixels at DEBUG, since there may be thousands."""
    level = logging.DEBUG if event.kind == "changed" and event.what == {"mask"} else logging.INFO
    where = f", frames {_listed(event.frames)}" if event.frames else ""
    who = f", objects {_listed(event.objects)}" if event.objects else ""
    state = f" ({event.job_state})" if event.job_state else ""
    _session.log(level, "%s: %s %s%s%s%s", event.folder, event.kind, event.step, state, who, where)


@hookimpl
def sam2_training_event(event: TrainingEvent) -> None:
    """Log one line: single steps at level DEBUG, the rest at INFO, a failure at ERROR."""
    level = {"step": logging.DEBUG, "failed": logging.ERROR}.get(event.kind, logging.INFO)
    measures = ", ".join(f"{name} {value:.4g}" for name, value in event.measures.items())
    _training.log(level, "%s at step %d: %s", event.kind, event.step, event.error or event.path or measures)


def _listed(numbers: frozenset[int]) -> str:
    first = sorted(numbers)[:8]
    return ", ".join(map(str, first)) + (f" and {len(numbers) - len(first)} more" if len(numbers) > len(first) else "")
