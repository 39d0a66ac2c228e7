"""docs/fine-tuning.md tells the truth: its code and its command run, shortened, and what they make is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import tifffile

from sam2_core.checkpoints.own_models import own_models
from sam2_core.cli.app import main
from tests.training.fine_tuning.test_fine_tune import stack


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path) -> str:
    monkeypatch.setenv("SAM2_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    images, labels = stack()
    tifffile.imwrite("stack.tif", images, photometric="minisblack")
    tifffile.imwrite("labels.tif", labels, photometric="minisblack")
    return (repository / "docs" / "fine-tuning.md").read_text(encoding="utf-8")


def test_its_code_runs(page: str) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(code.strip().splitlines()) == 5
    scope: dict[str, Any] = {}
    exec(code.replace('"5 min"', '"10 min", steps=1, image_size=64'), scope)
    assert tuple(scope["model"].input_size) == (64, 64)
    assert set(own_models()) == {scope["tuned"].name}


def test_its_command_runs(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    (command,) = re.findall(r"^(sam2 finetune .*)$", page, re.MULTILINE)
    short = ["--name", "mine", "--option", "steps=1", "--option", "replay=0", "--image-size", "64"]
    with pytest.raises(SystemExit) as stop:
        main([*shlex.split(command)[1:], *short])
    told = capsys.readouterr().out
    assert not stop.value.code
    assert "One-click IoU on the frames held back (2)" in told
    assert "sam2 track STACK -c mine" in told
    with pytest.raises(SystemExit):
        main(["info"])
    assert re.search(r"^mine .*fine-tuned here", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--option", "speed=1"], "no option"),
        (["--option", "speed"], "Cannot understand --option"),
        (["--validate", "x"], "Cannot understand --validate"),
        (["--validate", "1", "--no-validation"], "exclude each other"),
        (["--budget", "soon"], "Cannot understand the budget"),
        (["--recipe", "magic"], "no recipe named 'magic'"),
    ],
)
def test_its_errors(page: str, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["finetune", "stack.tif", "labels.tif", *arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
