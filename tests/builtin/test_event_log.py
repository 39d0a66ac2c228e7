"""Events in Python's log."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from sam2_core.builtin import event_log
from sam2_core.hooks import Plugins, Selection, SessionEvent, TrainingEvent


def test_events_are_logged_by_weight(caplog: pytest.LogCaptureFixture) -> None:
    plugins = Plugins(Selection(), strict=True)
    plugins.register(event_log, name="event-log")
    folder = Path("session")

    with caplog.at_level(logging.DEBUG):
        for event in (
            SessionEvent("changed", folder, "add points", frozenset({"prompt"}), frozenset({3}), frozenset({1, 2})),
            SessionEvent("changed", folder, "track", frozenset({"mask"}), frames=frozenset(range(20))),
            SessionEvent("job", folder, "track", job_state="done"),
        ):
            plugins.notify("sam2_session_event", event=event)
        for told in (
            TrainingEvent("step", 4, measures={"loss": 0.25}),
            TrainingEvent("failed", 5, error=ValueError("no")),
        ):
            plugins.notify("sam2_training_event", event=told)

    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("INFO", "session: changed add points, objects 3, frames 1, 2"),
        ("DEBUG", "session: changed track, frames 0, 1, 2, 3, 4, 5, 6, 7 and 12 more"),
        ("INFO", "session: job track (done)"),
        ("DEBUG", "step at step 4: loss 0.25"),
        ("ERROR", "failed at step 5: no"),
    ]
