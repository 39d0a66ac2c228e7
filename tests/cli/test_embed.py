from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np
import pytest
import tifffile

from sam2_core.cli.byte_count import show_seconds
from sam2_core.inference.tile_grid import TileGrid, Window
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


LARGE = (270, 60)  # more than four times what the untrained model sees


@pytest.fixture
def large(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 3000, (3, *LARGE)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "large.tif", pixels, imagej=True, metadata={"axes": "TYX"})
    os.utime(tmp_path / "large.tif", (time.time() - 1000,) * 2)
    return tmp_path / "large.tif"


def test_what_is_embedded_is_what_a_track_reads(capsys, tmp_path, large, untrained, encoded):
    """Of a plane that `sam2 track` looks at in tiles by itself: all tiles are there, and it encodes nothing."""
    tiles = len(TileGrid.for_model(LARGE, (64, 64)))
    code, out, err = run(capsys, "embed", large, "--frames", "0:2", "-c", untrained)
    assert code == 0, err
    told = " ".join(err.split())
    assert f"{2 * tiles} tiles of 2 frames take" in told
    assert f"about {show_seconds(2 * tiles * 10)}." in told  # as the fixture measures
    assert f"{2 * tiles} tiles encoded, 0 were there" in out
    assert sum(encoded) == 2 * tiles
    code, out, err = run(capsys, "embed", large, "-c", untrained)
    assert code == 0, err
    assert f"about {show_seconds(tiles * 10)}, since {2 * tiles} are there" in " ".join(err.split())
    assert f"{tiles} tiles encoded, {2 * tiles} were there" in out
    assert sum(encoded) == 3 * tiles
    encoded.clear()
    track = ["track", large, "-b", "1:20,10,50,250", "-c", untrained]
    code, _, err = run(capsys, *track, "-o", tmp_path / "tracked")
    assert code == 0, err
    assert encoded == []
    told = " ".join(err.split())
    boxed = len(TileGrid.for_model(LARGE, (64, 64)).cores_touching(Window(10, 20, 250, 50)))
    # a step of the object in each tile is what is left to do
    assert f"in tiles: about {show_seconds(3 * boxed * 2)}" in told
    assert f"since {3 * boxed} of {3 * boxed} tiles are encoded already" in told
    code, _, err = run(capsys, *track, "-o", tmp_path / "alone", "--no-embeddings")
    assert code == 0, err
    assert sum(encoded) > 0
    assert "encoded already" not in err


def test_what_is_embedded_is_what_everything_and_segment_read(capsys, tmp_path, large, untrained, encoded):
    assert run(capsys, "embed", large, "-c", untrained)[0] == 0
    encoded.clear()
    lenient = ["--points-per-side", "1", "--min-iou", "0", "--min-stability", "0", "--max-area", "1"]
    for number, command in enumerate(
        [
            ["track", large, "--everything", "2", "--frames", "2:3", *lenient],
            ["segment", large, "-p", "2:20,200"],
            ["everything", large, "--frame", "2", *lenient],
        ]
    ):
        code, _, err = run(capsys, *command, "-c", untrained, "-o", tmp_path / str(number))
        assert code == 0, err
        assert encoded == [], command
    assert run(capsys, *command, "-c", untrained, "-o", tmp_path / "alone", "--no-embeddings")[0] == 0
    assert sum(encoded) == len(TileGrid.for_model(LARGE, (64, 64)))


def test_an_exact_track_reads_whole_frames(capsys, tmp_path, large, untrained, encoded):
    code, out, err = run(capsys, "embed", large, "-c", untrained, "--preset", "exact")
    assert code == 0, err
    assert "3 frames encoded" in out
    encoded.clear()
    code, _, err = run(
        capsys, "track", large, "-p", "1:20,200", "--preset", "exact", "-c", untrained, "-o", tmp_path / "tracked"
    )
    assert code == 0, err
    assert encoded == []


def test_tiles_have_to_fit_under_the_quota(capsys, large, untrained, encoded):
    code, out, err = run(capsys, "embed", large, "-c", untrained, "--quota", "100kB")
    assert (code, out, encoded) == (2, "", [])
    tiles = len(TileGrid.for_model(LARGE, (64, 64)))
    assert f"3 frames of large.tif, in {tiles} tiles each, take" in " ".join(err.split())


def test_a_track_of_whole_frames_is_told_what_is_there(capsys, tmp_path, stack, untrained, encoded):
    assert run(capsys, "embed", stack, "--frames", "0:3", "-c", untrained)[0] == 0
    encoded.clear()
    code, _, err = run(capsys, "track", stack, "-p", "0:20,20", "-c", untrained, "-o", tmp_path / "tracked")
    assert code == 0, err
    assert sum(encoded) == 1
    # nothing is known of a file this young but what its pixels say, which a few of the frames are read for
    told = f"about {show_seconds(10 + 4 * 2)}, since 3 of 4 frames are encoded already"
    assert told in " ".join(err.split())


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
