from __future__ import annotations

import numpy as np
import pytest
import tifffile

from sam2_core.cli.models import load_predictor
from sam2_core.cli.object_table import ObjectTable
from sam2_core.cli.plane_tracking import PlaneTracking
from sam2_core.cli.prompts import parse_prompts
from sam2_core.cli.tracking import TrackRules, track_objects
from sam2_core.errors import StateError
from sam2_core.inference.tile_tracker import TiledTracker
from sam2_core.volumes import open_frames
from sam2_core.volumes.labels import open_label_writer
from tests.cli.test_app import run
from tests.cli.test_object_table import rows_of


def test_one_tile_is_what_the_predictor_sees(stack, untrained, tmp_path):
    predictor = load_predictor(str(untrained), "cpu", "fp32", quiet=True)
    objects = parse_prompts(["1@2:10,12", "2@0:30,30"])
    rules = TrackRules(range(4), priority="last")
    found = []
    for name in ("whole", "tiled"):
        with (
            open_frames(stack) as frames,
            open_label_writer(tmp_path / f"{name}.tif", length=4, frame_size=(40, 50)) as writer,
        ):
            if name == "whole":
                steps = track_objects(predictor, frames, objects, writer, ObjectTable(), rules)
            else:
                tracker = TiledTracker(predictor)
                steps = PlaneTracking(tracker, frames, objects, rules, writer, ObjectTable()).run()
            assert sorted(set(steps)) == [0, 1, 2, 3]
            found.append(np.stack([writer.read(index) for index in range(4)]))
    assert len(np.unique(found[0])) == 3
    assert (found[0] != found[1]).mean() < 0.01


def test_objects_that_have_ended_are_given_up_as_the_rules_say(stack, untrained, tmp_path, monkeypatch):
    asked = []
    real = TiledTracker.propagate
    monkeypatch.setattr(
        TiledTracker, "propagate", lambda *given, **options: asked.append(options) or real(*given, **options)
    )
    tracker = TiledTracker(load_predictor(str(untrained), "cpu", "fp32", quiet=True))
    rules = TrackRules(range(4), stop_when_empty=2)
    with (
        open_frames(stack) as frames,
        open_label_writer(tmp_path / "labels.tif", length=4, frame_size=(40, 50)) as writer,
    ):
        list(PlaneTracking(tracker, frames, parse_prompts(["2:10,12"]), rules, writer, ObjectTable()).run())
    assert [(one["reverse"], one["stop_when_empty"]) for one in asked] == [(False, 2), (True, 2)]


@pytest.mark.parametrize("preset", ["tiles", "crops"])
def test_presets(capsys, tmp_path, untrained, preset):
    pixels = np.random.default_rng(0).integers(0, 255, (3, 150, 210)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", pixels, imagej=True, metadata={"axes": "TYX"})
    mask = np.zeros((150, 210), np.uint8)
    mask[80:125, 85:135] = 9
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    labels = ["--prompts-from-labels", tmp_path / "mask.tif", "--frame", "1"]
    command = ["track", tmp_path / "stack.tif", "-p", "3@1:10,12", "-p", "2@0:200,30", *labels, "-c", untrained]
    result = tmp_path / "result"
    code, _, err = run(capsys, *command, "--preset", preset, "-o", result)
    assert code == 0, err
    told = " ".join(err.split())
    how = {"tiles": "at least about", "crops": "at most about"}[preset]  # of clicked objects the extent is not known
    assert f"3 objects, 3 frames, in {preset}: {how}" in told
    assert "(with --preset exact, which shows small objects less sharp: about" in told
    found = tifffile.imread(result / "labels.tif")
    assert found.shape == pixels.shape
    assert [row["id"] for row in rows_of(result / "objects.csv")] == ["2", "3", "9"]
    # a mask that was given is kept but for what others cover and what the grid of the model's output rounds off
    nine = found[1] == 9
    assert (nine & (mask == 9)).sum() / (nine | (mask == 9)).sum() > 0.5
    code, out, _ = run(capsys, *command, "--preset", preset, "-o", result)
    assert (code, "nothing is left to do" in out) == (0, True)


@pytest.mark.parametrize("preset", ["tiles", "crops"])
def test_broken_off_and_run_again(capsys, tmp_path, stack, untrained, monkeypatch, preset):
    """Nothing that was done is computed again, and the results are those of a run that nobody disturbs."""
    command = ["track", stack, "-p", "1@2:10,12", "-p", "2@1:30,30", "-c", untrained, "--preset", preset]
    assert run(capsys, *command, "-o", tmp_path / "whole")[0] == 0
    wrote = []

    def breaking(self, index, found):
        if len(wrote) == 3:
            raise StateError("the end of it")
        wrote.append(index)
        write(self, index, found)

    write = PlaneTracking._write
    monkeypatch.setattr(PlaneTracking, "_write", breaking)
    code, _, err = run(capsys, *command, "-o", tmp_path / "result")
    assert (code, "the end of it" in err) == (2, True)
    monkeypatch.undo()
    code, _, err = run(capsys, *command, "-o", tmp_path / "result")
    assert (code, "Going on with the run" in err) == (0, True), err
    for name in ("labels.tif", "objects_by_frame.csv"):
        assert (tmp_path / "result" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / "result" / "records").exists()


def test_large_planes_go_through_tiles_by_themselves(capsys, tmp_path, untrained, monkeypatch):
    import sam2_core.inference.tile_tracker as tiles

    opened = []
    real = tiles.TiledTracker.init_state
    monkeypatch.setattr(
        tiles.TiledTracker, "init_state", lambda *given, **named: opened.append(1) or real(*given, **named)
    )
    pixels = np.random.default_rng(0).integers(0, 255, (2, 300, 80)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", pixels, imagej=True, metadata={"axes": "TYX"})
    model = ["-c", untrained, "-o", tmp_path / "result"]
    code, _, err = run(capsys, "track", tmp_path / "stack.tif", "-p", "0:10,250", *model)
    assert code == 0, err
    assert opened
    opened.clear()
    code, _, err = run(capsys, "segment", tmp_path / "stack.tif", "-p", "0:10,250", *model, "--overwrite")
    assert code == 0, err
    assert opened
    assert tifffile.imread(tmp_path / "result" / "labels.tif").shape == (300, 80)
