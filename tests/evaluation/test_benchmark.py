"""sam2 evaluate on folders: both layouts, the results file, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2_core.cli.app import main
from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.evaluation.benchmark import benchmark

# By hand: object 1 is 20 x 20 pixels; on the two frames that count it was found and missed; object 2 always found.
EXPECTED = """\
sequence    ,obj,  J&F,    J,    F
Global score,   , 75.0, 75.0, 75.0
clip        ,001, 50.0, 50.0, 50.0
clip        ,002, 100.0, 100.0, 100.0
"""


def frames(missing: int) -> list[np.ndarray]:
    """Four frames of labels; object 1 is missing on some of the last."""
    pixels = np.zeros((4, 48, 64), np.uint8)
    pixels[:, 5:25, 5:25] = 1
    pixels[:, 30:40, 30:50] = 2
    pixels[4 - missing :][pixels[4 - missing :] == 1] = 0
    return list(pixels)


def write_davis(folder: Path, missing: int) -> Path:
    (folder / "clip").mkdir(parents=True)
    for number, pixels in enumerate(frames(missing)):
        picture = Image.fromarray(pixels)
        if number % 2:
            picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])  # makes it mode P
        picture.save(folder / "clip" / f"{number:05}.png")
    return folder


def write_sav(folder: Path, missing: int) -> Path:
    for name in (1, 2):
        (folder / "clip" / f"{name:03}").mkdir(parents=True)
        for number, pixels in enumerate(frames(missing)):
            Image.fromarray(np.uint8(255) * (pixels == name)).save(folder / "clip" / f"{name:03}" / f"{number:05}.png")
    return folder


@pytest.mark.parametrize("write", [write_davis, write_sav])
def test_both_layouts_have_the_same_results(tmp_path: Path, write, capsys) -> None:
    truth, ours = write(tmp_path / "truth", 0), write(tmp_path / "ours", 2)

    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "--gt_root", str(truth), "--pred_root", str(ours), "-n", "1"])

    assert not stop.value.code
    assert (ours / "results.csv").read_text() == EXPECTED
    assert "Global score: J&F: 75.0 J: 75.0 F: 75.0" in capsys.readouterr().out
    every = benchmark(truth, ours, processes=1, skip_first_and_last=False)
    assert every.score.j == 75.0
    assert benchmark(truth, write(tmp_path / "worse", 3), processes=1, skip_first_and_last=False).score.j == 62.5


def test_several_processes_give_the_same(tmp_path: Path) -> None:
    truth, ours = write_sav(tmp_path / "truth", 0), write_sav(tmp_path / "ours", 2)
    for folder in (truth, ours):
        (folder / "clip").rename(folder / "b")
    write_sav(truth, 0)
    write_sav(ours, 3)

    together = benchmark(truth, ours, processes=2)

    assert [video.name for video in together.videos] == ["b", "clip"]
    assert together == benchmark(truth, ours, processes=1)


def test_what_is_refused(tmp_path: Path) -> None:
    truth, ours = write_davis(tmp_path / "truth", 0), write_davis(tmp_path / "ours", 0)
    (truth / "more").mkdir()
    with pytest.raises(InvalidInputError, match="more only in"):
        benchmark(truth, ours, strict=True)
    with pytest.raises(MissingFileError, match="no folder"):
        benchmark(tmp_path / "none", ours)
    with pytest.raises(InvalidInputError, match="no video in common"):
        benchmark(truth / "clip", ours)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(ours / "clip" / "00002.png")
    with pytest.raises(InvalidInputError, match=r"00002.png has \(y, x\) \(9, 9\)"):
        benchmark(truth, ours, processes=1)
    (ours / "clip" / "00001.png").unlink()
    with pytest.raises(MissingFileError, match=r"00001.png"):
        benchmark(truth, ours, processes=1)


def test_the_root_of_a_data_set_may_be_given(tmp_path: Path) -> None:
    write_davis(tmp_path / "set" / "Annotations", 0)
    assert benchmark(tmp_path / "set", write_davis(tmp_path / "ours", 0), processes=1).score.both == 100


def test_an_object_that_is_never_there_has_no_score(tmp_path: Path) -> None:
    truth, ours = write_sav(tmp_path / "truth", 0), write_sav(tmp_path / "ours", 0)
    for path in (truth / "clip" / "002").iterdir():
        Image.fromarray(np.zeros((48, 64), np.uint8)).save(path)
    (video,) = benchmark(truth, ours, processes=1).videos
    assert video.unseen == ("002",)
    assert list(video.objects) == ["001"]
