"""What is going on in the background: progress, pause, stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QVBoxLayout, QWidget

from sam2_napari.annotation import Annotation
from sam2_napari.buttons import button
from sam2_napari.gui_thread import OrderedWork

if TYPE_CHECKING:
    from sam2_core.session.job import Job

#: A click is answered before a person could read that it is being answered.
QUIET: Final = frozenset({"segment"})


class JobRow(QWidget):
    """One job.

    Parameters
    ----------
    job : Job
    control : OrderedWork
        Does what the buttons ask for: a job may be held by a thread that writes to the disk.
    parent : QWidget, optional
    """

    def __init__(self, job: Job, control: OrderedWork, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._job, self._control = job, control
        self.label = QLabel()
        # what a job is called must not make the dock wide
        self.label.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(10)
        self.pause = button("Pause", self._pause)
        self.stop = button("Stop", lambda: control.do(job.stop), "Stop; what was found until then stays (Esc).")
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.pause)
        row.addWidget(self.stop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 2)
        layout.setSpacing(2)
        layout.addWidget(self.label)
        layout.addLayout(row)

    def show_job(self) -> None:
        """Show how the job stands."""
        job = self._job
        self.bar.setRange(0, job.total)
        self.bar.setValue(job.done)
        left = "" if job.eta_seconds is None else f", about {in_time(job.eta_seconds)} left"
        unit = " s" if job.kind == "train" else ""
        count = f" {job.done} of {job.total}{unit}" if job.total else ""
        self.label.setText(f"{job.label}: {job.state}{count}{left}")
        self.pause.setText("Go on" if job.state == "paused" else "Pause")

    def _pause(self) -> None:
        self._control.do(self._job.resume if self._job.state == "paused" else self._job.pause)


class JobList(QWidget):
    """The jobs that have not ended.

    Parameters
    ----------
    annotation : Annotation
    parent : QWidget, optional
    """

    def __init__(self, annotation: Annotation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._annotation = annotation
        self.rows: dict[int, JobRow] = {}
        self._told: set[int] = set()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        annotation.jobs_changed.connect(self.show_jobs)

    def show_jobs(self) -> None:
        """Show how the jobs stand, and tell of those that failed."""
        every = {job.id: job for job in self._annotation.session.jobs}
        active = {job_id: job for job_id, job in every.items() if job.is_active and job.kind not in QUIET}
        for job_id in set(self.rows) - set(active):
            row = self.rows.pop(job_id)
            self._layout.removeWidget(row)
            row.deleteLater()
        for job_id, job in active.items():
            if job_id not in self.rows:
                self.rows[job_id] = JobRow(job, self._annotation.control, self)
                self._layout.addWidget(self.rows[job_id])
            self.rows[job_id].show_job()
        for job_id, job in every.items():
            if not job.is_active and job_id not in self._told:
                self._told.add(job_id)
                if job.error is not None:
                    self._annotation.failed(job.error)
                elif job.state == "done" and job.kind not in QUIET:
                    self._annotation.say(f"Done: {job.label}.")


def in_time(seconds: float) -> str:
    """A duration in words."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
