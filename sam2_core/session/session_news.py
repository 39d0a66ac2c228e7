"""What happens in a session, told to the plugins that listen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sam2_core.hooks import get_plugins
from sam2_core.hooks.session_event import SessionEvent
from sam2_core.session.items import Change
from sam2_core.session.job import Job

if TYPE_CHECKING:
    from sam2_core.session.annotation_session import AnnotationSession


class SessionNews:
    """Tells plugins of a session through the hook ``sam2_session_event``; one that raises is switched off, and named.

    Parameters
    ----------
    session : AnnotationSession
    """

    def __init__(self, session: AnnotationSession) -> None:
        self._session = session
        self._folder: Path = session.folder
        session.changed.connect(self._changed)
        session.jobs.changed.connect(self._job)
        self._tell(SessionEvent("opened", self._folder))

    def close(self) -> None:
        """Say that the session is closed, and nothing more."""
        self._session.changed.disconnect(self._changed)
        self._session.jobs.changed.disconnect(self._job)
        self._tell(SessionEvent("closed", self._folder))

    def _changed(self, change: Change) -> None:
        self._tell(
            SessionEvent(
                "changed",
                self._folder,
                step=change.step,
                what=change.what,
                objects=change.objects,
                frames=change.frames,
                boxes=change.boxes,
            )
        )

    def _job(self, job: Job) -> None:
        self._tell(SessionEvent("job", self._folder, step=job.label, job_state=job.state))

    def _tell(self, event: SessionEvent) -> None:
        get_plugins().notify("sam2_session_event", event=event)
