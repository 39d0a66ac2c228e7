from __future__ import annotations

import numpy as np
import pytest

from sam2_core.cli.prompts.label_image import LabelPrompt, prompts_from_labels
from sam2_core.errors import InvalidInputError, InvalidTypeError


class Labels:
    """Frames of an array that count how often they are read."""

    def __init__(self, frames):
        self.frames = np.asarray(frames)
        self.reads = []

    @property
    def frame_size(self):
        return self.frames.shape[1:]

    def __len__(self):
        return len(self.frames)

    def read(self, index):
        self.reads.append(index)
        return self.frames[index]


@pytest.fixture
def frames():
    labels = np.zeros((4, 20, 30), np.uint16)
    labels[1, 2:8, 3:10] = 5
    labels[2, 2:5, 3:10] = 5
    labels[2, 10:15, 20:30] = 300
    labels[3, 10:15, 20:29] = 300
    return labels


def prompts(labels, **options):
    return prompts_from_labels(labels, "labels.tif", **{"frame_count": 4, "frame_size": (20, 30), **options})


def test_each_object_on_the_frame_where_it_is_largest(frames):
    labels = Labels(frames)
    found = prompts(labels)
    assert [(one.object_id, list(one.frames)) for one in found] == [(5, [1]), (300, [2])]
    for one in found:
        (frame,) = one.frames
        assert np.array_equal(one.frames[frame].mask.full, frames[frame] == one.object_id)
    assert max(labels.reads.count(index) for index in range(4)) <= 2


def test_a_given_frame_or_range(frames):
    assert [(one.object_id, list(one.frames)) for one in prompts(Labels(frames), frame=2)] == [(5, [2]), (300, [2])]
    assert [(one.object_id, list(one.frames)) for one in prompts(Labels(frames), frames=range(3, 4))] == [(300, [3])]


def test_a_single_frame(frames):
    single = Labels(frames[2:3])
    assert [(one.object_id, list(one.frames)) for one in prompts(single, frame=3)] == [(5, [3]), (300, [3])]
    with pytest.raises(InvalidInputError, match="--frame N"):
        prompts(single)


def test_points_and_boxes(frames):
    five, many = prompts(Labels(frames), kind=LabelPrompt.BOX)
    assert five.frames[1].box == (3, 2, 10, 8)
    assert many.frames[2].box == (20, 10, 30, 15)
    for one in prompts(Labels(frames), kind=LabelPrompt.POINT):
        ((frame, prompt),) = one.frames.items()
        ((x, y),) = prompt.points
        assert frames[frame, int(y), int(x)] == one.object_id
        assert prompt.labels == [1]


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        (lambda frames: frames[:, :, :-1], {}, InvalidInputError, "20 x 29; the stack has 20 x 30"),
        (lambda frames: frames[:3], {}, InvalidInputError, "3 frames; expected 4"),
        (lambda frames: frames * 0, {}, InvalidInputError, "no object"),
        (lambda frames: frames, {"frame": 0}, InvalidInputError, "no object on frame 0"),
        (lambda frames: frames, {"frame": 4}, InvalidInputError, "frames 0 to 3"),
        (lambda frames: frames.astype(int) * 1000, {}, InvalidInputError, "ids from 0 to 5000|ids from 0 to 300000"),
        (lambda frames: -frames.astype(int), {}, InvalidInputError, "ids from -5"),
        (lambda frames: frames.astype(float), {}, InvalidTypeError, "float64"),
    ],
)
def test_refusals(frames, change, options, error, message):
    with pytest.raises(error, match=message):
        prompts(Labels(change(frames)), **options)
