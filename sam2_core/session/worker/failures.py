"""A worker's error on this side."""

from __future__ import annotations

from sam2_core.errors import Sam2Error, WorkerError
from sam2_core.session.worker.messages import Failed


def error_from(failed: Failed) -> Exception:
    """The error that a report tells of: of the same class where that is one of ours, else a :class:`WorkerError`.

    The worker's traceback is in its notes.
    """
    kinds = {kind.__name__: kind for kind in _kinds(Sam2Error)}
    kind = kinds.get(failed.error)
    if kind is not None:
        error: Exception = kind(failed.message)
    elif failed.error in ("MemoryError", "OutOfMemoryError"):
        error = WorkerError(
            f"Memory ran out ({failed.message}). What was found so far is kept. Take fewer objects at once, a smaller "
            "model or image size, or close other programs."
        )
    else:
        error = WorkerError(f"{failed.error}: {failed.message}")
    if failed.traceback:
        error.add_note(f"In the worker:\n{failed.traceback}")
    return error


def is_device_full(failed: Failed) -> bool:
    """Whether a report tells of a GPU that has no memory left, as torch says it."""
    return failed.error == "OutOfMemoryError" or (
        failed.error == "RuntimeError" and "out of memory" in failed.message.lower()
    )


def _kinds(base: type[Sam2Error]) -> set[type[Sam2Error]]:
    return {base}.union(*(_kinds(kind) for kind in base.__subclasses__()))
