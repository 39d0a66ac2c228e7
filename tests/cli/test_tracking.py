from __future__ import annotations

import numpy as np
import pytest

from sam2_core.cli.models import load_predictor
from sam2_core.cli.object_table import ObjectTable
from sam2_core.cli.prompts import parse_prompts
from sam2_core.cli.track_plan import Direction
from sam2_core.cli.tracking import Tracking, TrackRules, prompt_objects, track_objects
from sam2_core.volumes import open_frames
from sam2_core.volumes.labels import open_label_writer


@pytest.fixture(scope="module")
def predictor(untrained):
    return load_predictor(str(untrained), "cpu", "fp32", quiet=True)


def tracked(predictor, stack, path, points, **rules):
    """Labels, and scores by (frame, object)."""
    with open_frames(stack) as frames:
        table = ObjectTable()
        rules = TrackRules(**{"reach": range(len(frames)), **rules})
        with open_label_writer(path, length=len(frames), frame_size=frames.frame_size, overwrite=True) as writer:
            for _ in track_objects(predictor, frames, parse_prompts(points), writer, table, rules):
                pass
            labels = np.stack([writer.read(index) for index in range(len(frames))])
        scores = {(frame, one): found for frame in range(len(frames)) for one, found in table.scores(frame).items()}
    return labels, scores


@pytest.mark.parametrize(
    ("direction", "frames"), [("forward", {2, 3}), ("backward", {0, 1, 2}), ("both", {0, 1, 2, 3})]
)
def test_directions(predictor, stack, tmp_path, direction, frames):
    _, scores = tracked(predictor, stack, tmp_path / "a.tif", ["2:10,12"], direction=Direction(direction))
    assert {frame for frame, _ in scores} == frames


def test_a_range(predictor, stack, tmp_path):
    labels, scores = tracked(predictor, stack, tmp_path / "a.tif", ["2:10,12"], reach=range(1, 3))
    assert {frame for frame, _ in scores} == {1, 2}
    assert not labels[[0, 3]].any()


@pytest.mark.parametrize("group_size", [1, 2, 64])
def test_objects_do_not_change_each_other(predictor, stack, tmp_path, group_size):
    _, alone = tracked(predictor, stack, tmp_path / "a.tif", ["1@2:10,12"])
    _, together = tracked(
        predictor, stack, tmp_path / "a.tif", ["1@2:10,12", "2@2:30,30", "3@0:5,5"], group_size=group_size
    )
    for key, value in alone.items():
        assert together[key] == pytest.approx(value, abs=1e-4)


def test_groups_give_the_same_labels(predictor, stack, tmp_path):
    points = ["1@2:10,12", "2@2:30,30", "3@0:5,5", "4@3:40,20"]
    together, _ = tracked(predictor, stack, tmp_path / "a.tif", points)
    assert len(np.unique(together)) > 2
    for size in (1, 2):
        apart, _ = tracked(predictor, stack, tmp_path / "a.tif", points, group_size=size)
        assert (apart != together).mean() < 0.001


def test_labels_are_the_masks_under_the_stated_priority(predictor, stack, tmp_path):
    points = ["1@2:10,12", "2@2:30,30", "3@2:5,5"]
    masks = {}
    for point in points:
        labels, _ = tracked(predictor, stack, tmp_path / "a.tif", [point])
        masks[int(point[0])] = labels > 0
    overlap = masks[1].astype(int) + masks[2] + masks[3]
    assert overlap.max() > 1
    for priority, order in (("lower id", (3, 2, 1)), ("last", (1, 2, 3))):
        expected = np.zeros(overlap.shape, int)
        for one in order:
            expected[masks[one]] = one
        labels, _ = tracked(predictor, stack, tmp_path / "a.tif", points, priority=priority)
        assert (labels != expected).mean() < 0.001


def test_what_is_on_record_is_not_computed_again(predictor, stack, tmp_path):
    """A tracking that was broken off at any step ends with the labels of one that was not."""
    points = ["1@2:10,12", "2@2:30,30", "3@0:5,5"]
    whole, _ = tracked(predictor, stack, tmp_path / "a.tif", points)
    total = 6
    for stop in range(0, total, 2):
        records = tmp_path / f"records{stop}"
        with open_label_writer(tmp_path / f"{stop}.tif", length=4, frame_size=(40, 50)) as writer:
            for attempt in ("broken off", "continued"):
                state = predictor.init_state(str(stack), records=records)
                if attempt == "broken off":
                    list(prompt_objects(predictor, state, parse_prompts(points)))
                    state.records.flush()
                tracking = Tracking(predictor, state, TrackRules(range(4)), writer, ObjectTable())
                assert len(tracking) == total
                for done, _ in enumerate(tracking.run(), start=1):
                    if attempt == "broken off" and done > stop:
                        break
                state.close()
            assert np.array_equal(np.stack([writer.read(index) for index in range(4)]), whole)


def test_an_object_that_has_ended_is_not_looked_for(predictor, tmp_path):
    """Along z the frames after an object's end are spared, also where another object joins later."""
    pixels = np.zeros((12, 40, 50), np.uint8)
    pixels[:2, 10:20, 10:20] = 255
    calls = []

    class Watched:
        def __getattr__(self, name):
            return getattr(predictor, name)

        def propagate(self, *arguments, objects, **options):
            calls.append(list(objects))
            return predictor.propagate(*arguments, objects=objects, **options)

    with open_frames(pixels) as frames, open_label_writer(tmp_path / "a.tif", length=12, frame_size=(40, 50)) as writer:
        state = predictor.init_state(frames)
        list(prompt_objects(predictor, state, parse_prompts(["1@0:15,15", "2@8:5,5"])))
        rules = TrackRules(range(12), Direction.FORWARD, stop_when_empty=2)
        tracking = Tracking(Watched(), state, rules, writer, ObjectTable())
        seen = []
        for frame in tracking.run():
            seen.append(frame)
            # an untrained model never finds nothing: let the object end here
            if frame == 3:
                state.objects[1].latest = lambda index: None
        state.close()
        assert seen == list(range(12))
        assert len(writer.written) == 12
    assert calls == [[1], [2]]
