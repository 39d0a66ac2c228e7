from __future__ import annotations

import re

import numpy as np
import tifffile
from PIL import Image

from sam2_core.cli import demo
from tests.cli.test_app import run

FRAMES, CELLS = 4, 3


def test_what_it_says_is_what_it_leaves(capsys, tmp_path, untrained, monkeypatch):
    monkeypatch.setattr(demo, "FRAME_COUNT", FRAMES)  # a short demo
    monkeypatch.setattr(demo, "CELL_COUNT", CELLS)
    code, out, err = run(capsys, "demo", "-o", tmp_path / "demo", "-c", untrained)
    assert code == 0, err
    folder = tmp_path / "demo"
    stack, truth, labels = (tifffile.imread(folder / f"{name}.tif") for name in ("stack", "truth", "labels"))
    assert stack.shape == truth.shape == labels.shape == (FRAMES, *demo.FRAME_SIZE)
    told = {int(cell): float(iou) for cell, iou in re.findall(r"cell +(\d+), .* IoU (\d\.\d\d)$", out, re.MULTILINE)}
    assert len(told) == CELLS
    assert set(np.unique(labels)) <= {0, *told}
    ious = {
        cell: ((labels == cell) & (truth == cell)).sum() / ((labels == cell) | (truth == cell)).sum() for cell in told
    }
    assert told == {cell: round(float(iou), 2) for cell, iou in ious.items()}
    assert f"mean IoU over {CELLS} cells {np.mean(list(ious.values())):.2f}" in out
    assert np.asarray(Image.open(folder / "overlay.png")).std() > 5
    assert (folder / "objects.csv").read_text().count("\n") == CELLS + 1


def test_clicks_lie_inside_whole_cells():
    truth = demo.draw_demo_stack(2).labels
    chosen = demo.clicks_in(truth, 8, CELLS)
    assert len(chosen) == CELLS
    for one in chosen:
        ((x, y),) = one.frames[8].points
        assert truth[8, int(y), int(x)] == one.object_id
        assert one.object_id not in np.concatenate([truth[8, 0], truth[8, -1], truth[8, :, 0], truth[8, :, -1]])


def test_iou_of_a_cell():
    found, truth = np.zeros((2, 3, 4), int), np.zeros((2, 3, 4), int)
    found[0, :2], truth[0, 1:] = 5, 5
    assert demo.volume_iou(found, truth, 5) == 4 / 12
    assert demo.volume_iou(found, truth, 9) == 0
