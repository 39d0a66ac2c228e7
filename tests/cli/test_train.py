"""What ``sam2 train`` prints while it trains, wherever it trains."""

from __future__ import annotations

import pickle

import pytest

from sam2_core.cli.train import tell
from sam2_core.hooks import TrainingEvent


def test_progress_can_be_told_from_another_process(capsys: pytest.CaptureFixture[str]) -> None:
    there = pickle.loads(pickle.dumps(tell))
    there(TrainingEvent("step", 30, 120, measures={"loss": 1.23456}, seconds=60.0, eta_seconds=180.0))
    there(TrainingEvent("step", 31, 120, seconds=62.0, eta_seconds=178.0))
    assert capsys.readouterr().err.split() == ["step", "30", "of", "120,", "3", "min", "left", "loss", "1.235"]
