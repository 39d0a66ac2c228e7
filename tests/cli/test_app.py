from __future__ import annotations

import subprocess
import sys

import pytest

from sam2_core import __version__
from sam2_core.cli.app import main


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return stop.value.code or 0, captured.out, captured.err


def test_help_and_version(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for command in ("segment", "track", "everything", "info", "doctor", "download", "demo"):
        assert command in out
        assert run(capsys, command, "-h")[0] == 0
    assert run(capsys, "--version")[:2] == (0, f"sam2-lab {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["segment", "none.png", "-p", "1,1"], "no file or folder none.png"),
        (["segment", "{picture}"], "Nothing was prompted"),
        (["segment", "{picture}", "-p", "50,1"], "50 wide and 40 high"),
        (["segment", "{picture}", "-p", "1;1"], "Cannot understand --point"),
        (["segment", "{stack}", "-p", "1:1,1", "-p", "2:1,1"], "one frame"),
        (
            ["segment", "{picture}", "-p", "1:1,1"],
            "frames 0 to 0. If its planes are slices and not colours, say so: --axes zyx",
        ),
        (["segment", "{stack}", "-p", "9:1,1"], "frames 0 to 3"),
        (["segment", "{picture}", "-p", "1,1", "--channels", "3"], "channels 0 to 2"),
        (["segment", "{picture}", "-p", "1,1", "--contrast", "dark"], "Cannot understand --contrast"),
        (["segment", "{stack}", "-p", "1,1", "--at", "t"], "Cannot understand --at"),
        (["segment", "{picture}", "-p", "1,1", "-o", "{picture}"], "is a file"),
        (["segment", "{picture}", "-p", "1,1", "-c", "sam9"], "no model named 'sam9'"),
        (["segment", "{picture}", "-p", "1,1", "-c", "sam2.1_hiera_large"], "sam2 download sam2.1_hiera_large"),
        (["segment", "{picture}", "-p", "1,1", "--precision", "int4"], "int4"),
        (["segment", "{picture}", "-p", "1,1", "--device", "abacus"], "abacus"),
        (["track", "{stack}", "-p", "1,1"], "which frame"),
        (["track", "{stack}", "-p", "4:1,1"], "frames 0 to 3"),
        (["track", "{stack}", "-p", "3:1,1", "--frames", "0:3"], "outside the frames 0 to 2"),
        (["track", "{stack}", "-p", "3:1,1", "--frames", "2:9"], "STOP at most 4"),
        (["track", "{stack}", "-p", "3:1,1", "--frames", "a"], "Cannot understand --frames"),
        (["track", "{stack}", "--everything", "4"], "from 0 to 3"),
        (["track", "{stack}", "--prompts-from-labels", "{picture}", "--frame", "0"], "colour picture"),
        (["track", "{stack}", "--prompts-from-labels", "{stack}", "-p", "1,1"], "which frame"),
        (["track", "{stack}", "-p", "1@1:1,1", "-p", "1@1:1,1:0"], "both as object and as background"),
        (["track", "{stack}", "-b", "1@1:1,1,9,9", "-b", "1@1:1,1,5,5"], "two boxes"),
        (["info", "sam9"], "no model named"),
        (["download", "sam9"], "no model named"),
    ],
)
def test_errors_are_one_line(capsys, monkeypatch, tmp_path, picture, stack, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAM2_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    code, out, err = run(capsys, *(argument.format(picture=picture, stack=stack) for argument in arguments))
    assert code == 2
    assert out == ""
    last = err.strip().splitlines()[-1]
    assert last.startswith("sam2: ")
    assert message in last
    assert "Traceback" not in err


def test_wrong_usage(capsys):
    for arguments in (["segment"], ["nonsense"], ["track", "x", "--direction", "sideways"]):
        code, _, err = run(capsys, *arguments)
        assert code == 2
        assert "Traceback" not in err


@pytest.mark.parametrize("arguments", [["--debug", "info", "sam9"], ["info", "sam9", "--debug"]])
def test_debug_shows_where_an_error_came_from(arguments):
    with pytest.raises(LookupError):
        main(arguments)


def test_info(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("SAM2_LAB_CACHE", str(tmp_path / "a rather long name of a folder" / "checkpoints"))
    code, out, _ = run(capsys, "info")
    assert code == 0
    assert f"kept in {tmp_path / 'a rather long name of a folder' / 'checkpoints'}\n" in out
    assert "sam2.1_hiera_micro" in out
    assert "898 MB" in out
    code, out, _ = run(capsys, "info", "facebook/sam2.1-hiera-tiny")
    assert code == 0
    assert "configs/sam2.1/sam2.1_hiera_t.yaml" in out
    assert "Apache-2.0" in out


def test_what_needs_no_model_does_not_load_torch():
    code = "import sys, sam2_core.cli.app; print('torch' in sys.modules, 'av' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False", "False"]
