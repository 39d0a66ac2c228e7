from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sam2_core.cli.prompts.label_image import LabelPrompt, open_label_image, prompts_from_labels
from sam2_core.errors import InvalidInputError, InvalidTypeError
from sam2_core.volumes.labels import ArrayLabels, open_label_writer


class Labels(ArrayLabels):
    """Labels of an array that count how often they are read."""

    def __init__(self, frames):
        super().__init__(frames, name="labels.tif")
        self.reads = []

    def read(self, index):
        self.reads.append(index)
        return super().read(index)


@pytest.fixture
def frames():
    labels = np.zeros((4, 20, 30), np.uint16)
    labels[1, 2:8, 3:10] = 5
    labels[2, 2:5, 3:10] = 5
    labels[2, 10:15, 20:30] = 300
    labels[3, 10:15, 20:29] = 300
    return labels


def prompts(labels, **options):
    return prompts_from_labels(labels, **{"frame_count": 4, "frame_size": (20, 30), **options})


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
        (lambda frames: frames.astype(int) * 1000, {}, InvalidInputError, "ids up to 300000 on frame 2"),
    ],
)
def test_refusals(frames, change, options, error, message):
    with pytest.raises(error, match=message):
        prompts(Labels(change(frames)), **options)


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_a_single_png(tmp_path, frames, mode):
    pixels = (frames[1] if mode != "I;16" else frames[2]).astype(np.uint16 if mode == "I;16" else np.uint8)
    picture = Image.fromarray(pixels)
    if mode == "P":
        picture.putpalette([number for number in range(256) for _ in range(3)])
    picture.save(tmp_path / "cellpose.png")
    with open_label_image(str(tmp_path / "cellpose.png")) as labels:
        assert np.array_equal(labels.read(0), pixels)
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / "colour.png")
    with pytest.raises(InvalidTypeError, match="colour picture"):
        open_label_image(str(tmp_path / "colour.png"))


def test_what_our_own_writers_leave(tmp_path, frames):
    for name in ("a.tif", "a.zarr", "a.json", f"memory://{tmp_path.name}/a.zarr"):
        address = name if "://" in name else str(tmp_path / name)
        with open_label_writer(address, length=4, frame_size=(20, 30)) as writer:
            for index, frame in enumerate(frames):
                writer.write(index, frame)
        with open_label_image(address) as labels:
            assert [one.object_id for one in prompts(labels)] == [5, 300]
