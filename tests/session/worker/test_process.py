"""What the worker's process says to a session that it cannot work for."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from sam2_core.session.worker.codec import framed, read_message
from sam2_core.session.worker.messages import PROTOCOL, Failed, Open, StackDescription, Stop
from sam2_core.session.worker.process import WorkerProcess

OPENING = Open(PROTOCOL, "no such model", False, StackDescription("stack", "t", 1, 8, 8))


@pytest.mark.parametrize("first", [replace(OPENING, protocol=PROTOCOL - 1), Stop()])
def test_a_session_of_another_version_is_told(first: object) -> None:
    answers = io.BytesIO()
    WorkerProcess(io.BytesIO(framed(first)), answers).run()
    answers.seek(0)
    failed = read_message(answers)
    assert isinstance(failed, Failed)
    assert (failed.job, failed.error) == (None, "WorkerError")
    assert f"This worker speaks protocol {PROTOCOL}" in failed.message
    assert "Install the same version of sam2-lab on both sides" in failed.message
    assert read_message(answers) is None
