"""``sam2 open`` and the front-end that prints (sam2_front_ends)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from sam2_core import open_volume
from sam2_core.cli import open_in
from sam2_core.cli.app import main
from sam2_core.hooks import FrontEnd, using_plugins
from sam2_core.session.annotation_session import AnnotationSession
from tests.hooks.added import plugins_adding

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def opened(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["open", *arguments])
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return opened


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    pixels = np.zeros((4, 40, 50), np.uint16)
    metadata = {"axes": "ZYX", "spacing": 2.0, "unit": "um"}
    tifffile.imwrite(tmp_path / "stack.tif", pixels, imagej=True, resolution=(2, 2), metadata=metadata)
    return tmp_path / "stack.tif"


def test_a_stack_as_text(run: Run, stack: Path) -> None:
    code, out, _ = run(str(stack), "--in", "text")

    assert code == 0
    assert out.splitlines() == [
        "stack.tif: uint16",
        "  z  4, 2 micrometer a step",
        "  y  40, 0.5 micrometer a step",
        "  x  50, 0.5 micrometer a step",
    ]


def test_a_session_as_text(run: Run, stack: Path, tmp_path: Path) -> None:
    with AnnotationSession.create(open_volume(stack).stack("z"), tmp_path / "session") as session:
        cell = session.add_object("cell 1", category="nucleus")
        session.add_points(cell.id, 2, (10, 10))
        session.paint(cell.id, 1, np.ones((40, 50), bool))

    code, out, _ = run(str(tmp_path / "session"), "--in", "text", "--option", "history=yes")

    assert code == 0
    lines = out.splitlines()
    assert lines[0].endswith("4 frames of 40 x 50 along z")
    assert lines[1:3] == ["1 objects", "  1  cell 1  nucleus  prompts 1, masks 1, 1 to 1"]
    assert len(lines) == 6


def test_without_a_name_it_is_one_whose_library_is_there(
    run: Run, stack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_in, "find_spec", lambda name: None if name == "napari" else name)

    code, out, _ = run(str(stack))

    assert code == 0
    assert out.startswith("stack.tif: uint16")


def test_a_plugins_front_end(run: Run, stack: Path) -> None:
    calls: list[Any] = []

    def opens(source: str, *, dark: bool = True) -> None:
        calls.append((source, dark))

    with using_plugins(plugins_adding(FrontEnd("mine", open=opens), installed=True)):
        assert run(str(stack), "--in", "mine", "--option", "dark=no")[0] == 0
        code, _, err = run(str(stack), "--in", "yours")
        assert code == 2
        assert "no front end named 'yours'" in err
        assert "mine" in err
        assert "Expected NAME=VALUE" in run(str(stack), "--in", "mine", "--option", "dark")[2]
        assert "no option size" in run(str(stack), "--in", "mine", "--option", "size=3")[2]

    assert calls == [(str(stack), False)]
