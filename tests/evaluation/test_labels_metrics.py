"""Metrics of labels, on stacks small enough to count by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from sam2_core.cli.app import main
from sam2_core.evaluation.average_precision import average_precision
from sam2_core.evaluation.cell_tracking import detection_score, segmentation_score
from sam2_core.evaluation.click_iou import click_ious, mean_click_ious, next_click
from sam2_core.evaluation.video_scores import j_and_f
from sam2_core.hooks import Metric, Plugins, Selection, hookimpl, using_plugins

# one row a frame; IoU of 7 with 1 is 3/4, of 8 with 2 is 1/2, nothing is 3, 9 is nothing
TRUTH = np.array([[[1, 1, 1, 1, 0, 2, 2, 0, 3, 0]]])
OURS = np.array([[[7, 7, 7, 0, 0, 8, 0, 0, 0, 9]]])


def pairs(ours: Any = OURS, truth: Any = TRUTH) -> Any:
    return list(zip(ours, truth, strict=True))


def test_average_precision() -> None:
    found = average_precision(pairs())
    assert found["AP50"] == 2 / 4  # both right, one extra, one missed
    assert found["AP55"] == found["AP75"] == 1 / 5
    assert found["AP80"] == found["AP95"] == 0
    assert found["AP"] == pytest.approx((2 / 4 + 5 / 5) / 10)
    assert average_precision(pairs(TRUTH * 5))["AP"] == 1
    assert math.isnan(average_precision(pairs(OURS * 0, TRUTH * 0))["AP"])


def test_objects_through_the_stack_or_frame_by_frame() -> None:
    truth, ours = np.array([[[1, 1]], [[1, 1]]]), np.array([[[4, 4]], [[5, 5]]])
    assert average_precision(pairs(ours, truth))["AP50"] == 1 / 2
    assert average_precision(pairs(ours, truth), by_frame=True)["AP"] == 1


def test_an_object_is_right_once() -> None:
    # IoU of 1 with both halves is 1/2
    assert average_precision(pairs(np.array([[[1, 1]]]), np.array([[[1, 2]]])))["AP50"] == 1 / 2


def test_seg_and_det() -> None:
    assert segmentation_score(pairs())["SEG"] == (3 / 4 + 0 + 0) / 3  # one half is not more than half
    # 2 and 3 to add, 8 and 9 to remove
    assert detection_score(pairs())["DET"] == pytest.approx(1 - 22 / 30)
    # one object that holds two has to be split
    assert detection_score(pairs(np.array([[[1, 1]]]), np.array([[[1, 2]]])))["DET"] == 1 - 5 / 20
    assert detection_score(pairs(np.arange(1, 51)[None, None], np.array([[[1] + [0] * 49]])))["DET"] == 0
    assert math.isnan(segmentation_score(pairs(OURS, TRUTH * 0))["SEG"])


def test_j_and_f_of_labels() -> None:
    found = j_and_f(pairs(np.where(OURS == 7, 1, 0)))
    assert found["J"] == pytest.approx(100 * (3 / 4) / 3)
    assert found["J&F"] == (found["J"] + found["F"]) / 2


def test_j_and_f_count_an_object_from_the_frame_on_which_it_is_first_seen() -> None:
    truth, ours = np.zeros((2, 5, 4, 4), np.uint8)
    truth[3] = 7  # predicted on the second frame already, on the others rightly nowhere
    ours[1, 0] = 7
    found = j_and_f(zip(ours, truth, strict=True))
    assert found["J"] == pytest.approx(100 * (0 + 1 + 0 + 1) / 4)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, labels in (("ours", OURS), ("truth", TRUTH)):
        tifffile.imwrite(tmp_path / f"{name}.tif", labels.astype(np.uint8).repeat(2, 0), photometric="minisblack")
    names = ("average-precision", "seg", "det", "j-and-f", "object-iou")
    metrics = [word for name in names for word in ("--metric", name)]
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", str(tmp_path / "ours.tif"), str(tmp_path / "truth.tif"), *metrics])
    out = capsys.readouterr().out
    assert not stop.value.code
    assert {line.split()[0] for line in out.splitlines()} == set(names)
    assert "AP50          0.5000" in out
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", str(tmp_path / "ours.tif")])
    assert stop.value.code == 2


class Metrics:
    """A plugin with a metric that takes its frames one by one, and one that returns nonsense."""

    @staticmethod
    @hookimpl
    def sam2_metrics() -> list[Metric]:
        def measure(frames: Any) -> dict[str, float]:
            predicted, _ = next(frames)
            return {"first": float(predicted.max()), "rest": float(sum(truth.max() for _, truth in frames))}

        return [Metric("steps", "", measure=measure), Metric("nonsense", "", measure=lambda frames: 7)]


def test_metrics_of_plugins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = str(tmp_path / "labels.tif")
    tifffile.imwrite(labels, TRUTH.astype(np.uint8).repeat(3, 0).repeat(2, 1), photometric="minisblack")
    plugins = Plugins(Selection(only_builtin=True))
    plugins.load_installed()
    plugins.register(Metrics, name="my-metrics")
    with using_plugins(plugins):
        for name, code in (("steps", 0), ("nonsense", 2)):
            with pytest.raises(SystemExit) as stop:
                main(["evaluate", labels, labels, "--metric", "seg", "--metric", name])
            out, err = capsys.readouterr()
            assert (stop.value.code or 0) == code
            assert "seg" in out
            if code:
                assert "plugin my-metrics" in err.replace("\n", " ")
                assert "numbers by name" in err.replace("\n", " ")
            else:
                lines = [line.split()[-2:] for line in out.splitlines()]
                assert lines[-2:] == [["first", "3.0000"], ["rest", "6.0000"]]


class Stamp:
    """Answers with a square round each positive click."""

    def set_image(self, image: Any) -> None:
        self.shape = image.shape[:2]
        self.asked: list[Any] = []

    def predict(self, points: Any, labels: Any, box: Any, mask: Any, multimask: bool) -> Any:
        self.asked.append((points.tolist(), labels.tolist(), mask is not None, multimask))
        said = np.zeros((1, *self.shape), np.float32)
        for (x, y), label in zip(points, labels, strict=True):
            said[0, max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3] = label
        return said, np.ones(1), said


def test_clicks_go_where_it_is_wrong() -> None:
    labels = np.zeros((20, 30), np.uint8)
    labels[5:10, 5:15] = 4
    model = Stamp()
    ious = click_ious(model, [(np.zeros((20, 30, 3), np.uint8), labels)], clicks=3)
    assert ious.shape == (1, 3)
    assert list(ious[0]) == sorted(ious[0])
    assert mean_click_ious(ious)["IoU after 1"] == 0.5
    assert [one[2:] for one in model.asked] == [(False, True), (True, False), (True, False)]
    assert labels[tuple(reversed(model.asked[2][0][1]))] == 4


def test_the_next_click() -> None:
    truth, said = np.zeros((2, 20, 20), bool)
    truth[2:9, 2:9] = True
    assert next_click(truth, said) == (5, 5, 1)
    said[2:9, 2:9] = said[10:19, 10:19] = True
    assert next_click(truth, said) == (14, 14, 0)
    assert next_click(truth, truth) == (5, 5, 1)
