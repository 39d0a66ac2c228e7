from __future__ import annotations

import signal
import sys
import time

import numpy as np
import pytest
import tifffile

from tests.cli.test_app import run
from tests.cli.test_track_continued import started


@pytest.fixture
def store(tmp_path):
    return ["--folder", tmp_path / "store"]


def test_frames_are_encoded_once(capsys, stack, untrained, store):
    model = ["-c", untrained, *store]
    code, out, err = run(capsys, "embed", stack, "--frames", "1:3", *model)
    assert code == 0, err
    assert "2 frames encoded, 0 were there" in out
    assert "2 frames take" in err
    assert "free on the disk" in err.replace("\n", " ")
    code, out, _ = run(capsys, "embed", stack, *model)
    assert "2 frames encoded, 2 were there" in out


def test_refusals(capsys, stack, untrained, store):
    for arguments, message in [
        (["--quota", "1kB"], "has room for"),
        (["--quota", "much"], "--quota"),
        (["--frames", "3:9"], "STOP at most 4"),
    ]:
        code, out, err = run(capsys, "embed", stack, "-c", untrained, *store, *arguments)
        assert (code, out) == (2, "")
        assert message in err.replace("\n", " ")


@pytest.mark.soak
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_and_on_from_there(capsys, tmp_path, untrained, store):
    pixels = np.random.default_rng(0).integers(0, 3000, (200, 40, 50)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "long.tif", pixels, imagej=True, metadata={"axes": "TYX"})
    command = ["embed", str(tmp_path / "long.tif"), "-c", str(untrained), *map(str, store)]
    process = started(command, tmp_path / "messages.txt")
    while process.poll() is None and sum(1 for _ in (tmp_path / "store").rglob("*")) < 20:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=300) == 130
    assert "Traceback" not in (tmp_path / "messages.txt").read_text()
    code, out, _ = run(capsys, *command)
    assert code == 0
    added, there = (int(word) for word in out.split() if word.isdecimal())
    assert added + there == 200
    assert there > 5
