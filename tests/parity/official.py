"""The oracle process: started once, read as its results appear."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tests.parity.jobs import Job

REPOSITORY = Path(__file__).resolve().parents[2]


class OracleProcess:
    """The official package at work on a list of jobs, in a process of its own.

    It runs beside our side of the comparison; `result` waits for a job's results.
    """

    def __init__(self, jobs: tuple[Job, ...], frames: Path, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "oracle.log"
        documents = [
            job.document() | {"frames": str(frames), "output": str(folder / f"{job.name}.npz")} for job in jobs
        ]
        (folder / "jobs.json").write_text(json.dumps(documents), encoding="utf-8")
        with self.log.open("wb") as log:
            # A folder of its own as working directory: the official package refuses to be run from its sources.
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.parity.oracle", str(folder / "jobs.json")],
                cwd=folder,
                env={"OMP_NUM_THREADS": "1"} | os.environ | {"PYTHONPATH": str(REPOSITORY)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def result(self, job: Job) -> dict[str, np.ndarray]:
        """Named arrays of one job, waiting for it if need be."""
        path = self.folder / f"{job.name}.npz"
        while not path.exists():
            if self.process.poll() is not None and not path.exists():
                tail = self.log.read_text(encoding="utf-8", errors="replace")[-4000:]
                raise RuntimeError(f"the oracle ended (code {self.process.returncode}) before {job.name}:\n{tail}")
            time.sleep(0.1)
        with np.load(path) as archive:
            return dict(archive)

    def close(self) -> None:
        """End the process, finished or not."""
        self.process.terminate()
        self.process.wait()
