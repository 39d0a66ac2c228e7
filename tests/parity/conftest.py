"""The oracle runs beside the tests that compare with it; at the end, a table says how far apart the two sides were."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.parity.comparison import deviations
from tests.parity.inputs import write_frames
from tests.parity.jobs import Job, shipped_weights
from tests.parity.official import OracleProcess


@pytest.fixture(scope="session")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of JPEG frames."""
    folder = tmp_path_factory.mktemp("frames")
    write_frames(folder)
    return folder


@pytest.fixture(scope="session")
def oracle_jobs(request: pytest.FixtureRequest) -> tuple[Job, ...]:
    """What the selected tests ask for, in the order in which they do."""
    jobs: dict[str, Job] = {}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and "oracle" in item.fixturenames:
            job, part = item.callspec.params["job"], item.callspec.params["part"]
            if job.trained and not shipped_weights().is_file():
                continue
            asked = jobs.get(job.name, replace(job, parts=()))
            jobs[job.name] = replace(asked, parts=(*asked.parts, part))
    return tuple(jobs.values())


@pytest.fixture(scope="session")
def oracle(
    oracle_jobs: tuple[Job, ...], frames: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OracleProcess]:
    """The official package at work in a process of its own."""
    if importlib.util.find_spec("sam2") is None:
        pytest.skip("needs the official package as oracle; install it with `make oracle`")
    process = OracleProcess(oracle_jobs, frames, tmp_path_factory.mktemp("oracle"))
    yield process
    process.close()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Report the largest deviations from the official numbers."""
    if not deviations:
        return
    terminalreporter.section("parity with the official package")
    terminalreporter.write_line("largest deviation (of the largest value), smallest share of values within 1e-3")
    for part, (largest, share) in sorted(deviations.items()):
        terminalreporter.write_line(f"{largest:9.1e}  {share:9.4%}  {part}")
