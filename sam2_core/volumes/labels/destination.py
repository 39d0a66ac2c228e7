"""Files and folders as label writers treat them: locked against a second writer, named at once, removed with care."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from sam2_core.errors import StateError, WriteError

# a virus scanner or indexer on Windows holds a fresh file for a moment
_RENAME_TRIES = 20
_RENAME_PAUSE_S = 0.05


class DestinationLock:
    """Keeps a second process (or a second writer in this one) out of a destination.

    Parameters
    ----------
    path : Path
        The lock file; removed when let go of.
    subject : str
        What messages call that which is locked.
    wait : float
        Seconds to wait for it.
    """

    def __init__(self, path: Path, subject: str, wait: float = 0.0) -> None:
        self._lock = FileLock(str(path), timeout=wait, is_singleton=False)
        self._path = path
        with write_errors(subject):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire()
            except Timeout:
                raise StateError(
                    f"{subject} is being written by another process or writer. Wait for it, or choose another "
                    "destination."
                ) from None

    def release(self) -> None:
        """Let go of it; may be called twice."""
        if not self._lock.is_locked:
            return
        if os.name != "nt":
            # still held: whoever waits on this very file notices that it is gone, and makes a new one
            self._path.unlink(missing_ok=True)
        self._lock.release()


@contextlib.contextmanager
def write_errors(subject: str, kept: Callable[[], str] = lambda: "") -> Iterator[None]:
    """Say what a failed write means.

    Parameters
    ----------
    subject : str
        What was being written.
    kept : callable
        Says what is left, such as "Frames 0-12 are written and stay readable".
    """
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise WriteError(
            f"{subject} could not be written: {reason}. {kept()}Make room (or check the permissions) and continue with "
            "resume=True."
        ) from error


def replaced(source: Path, destination: Path) -> None:
    """Give `source` the name `destination`, in place of what has that name.

    A file never takes the place of a folder with anything in it: that was no label image of its kind.
    """
    aside = None
    if source.is_dir() and destination.exists():
        aside = destination.with_name(destination.name + ".old")
        removed(aside)
        _renamed(destination, aside)
    elif destination.is_dir():
        destination.rmdir()
    _renamed(source, destination)
    if aside is not None:
        removed(aside)


def removed(path: Path) -> None:
    """Remove a file or folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _renamed(source: Path, destination: Path) -> None:
    for _ in range(_RENAME_TRIES - 1):
        try:
            os.replace(source, destination)
        except PermissionError:
            time.sleep(_RENAME_PAUSE_S)
        else:
            return
    os.replace(source, destination)
