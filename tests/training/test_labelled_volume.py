"""Labelled volumes as training data: windows, sparse labels, several processes, and what is refused."""

from __future__ import annotations

import pickle
import random
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.training.batch import collate_fn
from sam2_core.training.frame_samplers import EvalSampler, RandomUniformSampler
from sam2_core.training.label_check import check_labels
from sam2_core.training.labelled_volume import VolumeRawDataset
from sam2_core.training.transforms import ToTensorAPI
from sam2_core.training.video_dataset import VOSDataset
from sam2_core.volumes import open_frames, open_labels

FRAMES, HEIGHT, WIDTH = 6, 50, 70


def cells(dtype: type = np.uint16) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Two discs that move; as bright as their label times 1000."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    labels = np.zeros((FRAMES, HEIGHT, WIDTH), dtype)
    for t in range(FRAMES):
        labels[t][(y - 15) ** 2 + (x - 15 - t) ** 2 < 50] = 2
        labels[t][(y - 35) ** 2 + (x - 50 - t) ** 2 < 60] = 5
    return (labels * 1000).astype(np.uint16), labels


@pytest.fixture
def stack(tmp_path: Path) -> tuple[Path, Path]:
    images, labels = cells()
    tifffile.imwrite(tmp_path / "image.tif", images, photometric="minisblack")
    tifffile.imwrite(tmp_path / "labels.tif", labels, photometric="minisblack")
    return tmp_path / "image.tif", tmp_path / "labels.tif"


def test_windows_show_an_object_and_masks_fit_the_pictures(stack: tuple[Path, Path]) -> None:
    volume = VolumeRawDataset(*stack, num_frames=3, crop=(32, 40))
    assert len(volume) == FRAMES - 2
    for seed in range(12):
        random.seed(seed)
        point = VOSDataset([ToTensorAPI()], True, volume, RandomUniformSampler(3, 2), 1)[seed % 4]
        for frame in point.frames:
            assert frame.data.shape == (3, 32, 40)
            for each in frame.objects:
                assert each.segment is not None
                inside = each.segment.bool()
                if inside.any():  # all pixels of an object are of one brightness, no others are
                    grey = frame.data[0][inside]
                    assert float(grey.max() - grey.min()) < 0.01
        assert point.frames[0].objects[0].segment.any()  # type: ignore[union-attr]


def test_a_dataset_goes_to_another_process(stack: tuple[Path, Path]) -> None:
    volume = VolumeRawDataset(*stack)
    again = pickle.loads(pickle.dumps(volume))
    one, other = volume.get_video(2)[0], again.get_video(2)[0]
    assert np.array_equal(one.frames[0].picture(), other.frames[0].picture())


def test_frames_nobody_labelled_have_no_masks() -> None:
    images, labels = cells()
    labels[2] = 0
    volume = VolumeRawDataset(images, labels, num_frames=4, labelled_frames=[0, 1, 3])
    assert volume.starts == (0, 1)
    point = VOSDataset([ToTensorAPI()], True, volume, RandomUniformSampler(4, 2), 1)[0]
    known = [[each.segment is not None for each in frame.objects] for frame in point.frames]
    assert known == [[True, True], [True, True], [False, False], [True, True]]
    batch = collate_fn([point], "all")
    assert batch.labelled is not None
    assert batch.labelled.tolist() == known
    # where nothing is said, frames without a label are not labelled
    assert VolumeRawDataset(images, labels).labelled == {0, 1, 3, 4, 5}
    # and one that is labelled as empty is
    assert 2 in VolumeRawDataset(images, labels, labelled_frames=range(FRAMES)).labelled


def test_validation_takes_whole_stacks_or_other_frames() -> None:
    images, labels = cells()
    volume = VolumeRawDataset(images, labels, num_frames=2, frames=(4, 6))
    point = VOSDataset([], False, volume, EvalSampler(), 1)[0]
    assert [frame.objects[0].frame_index for frame in point.frames] == [4, 5]
    assert [each.object_id for each in point.frames[0].objects] == [2, 5]


def test_bad_input_is_refused() -> None:
    images, labels = cells()
    with pytest.raises(InvalidInputError, match="one shape"):
        VolumeRawDataset(images, labels[:, :-1])
    with pytest.raises(InvalidInputError, match="one shape"):
        VolumeRawDataset(images, labels[:4])
    with pytest.raises(InvalidInputError, match="nothing to train on"):
        VolumeRawDataset(images, np.zeros_like(labels))
    with pytest.raises(InvalidInputError, match="1 trains on single images"):
        VolumeRawDataset(images[:1], labels[:1], num_frames=4)
    with pytest.raises(InvalidInputError, match="frame 9"):
        VolumeRawDataset(images, labels, labelled_frames=[0, 9])
    with pytest.raises(InvalidInputError, match="part of 0 to 6"):
        VolumeRawDataset(images, labels, frames=(6, 6))


def findings(images: NDArray[np.uint16], labels: NDArray[np.uint16]) -> list[tuple[str, str]]:
    found = check_labels(open_frames(images), open_labels(labels))
    return [(each.kind, each.message) for each in found]


def test_good_labels_pass() -> None:
    assert findings(*cells()) == []
    # noise at the borders of large objects is no image
    images, labels = cells()
    labels[:, ::7, ::7] = 0
    assert findings(images, labels) == []


def test_what_is_wrong_with_labels_is_said() -> None:
    images, labels = cells()
    picture = np.random.default_rng(0).integers(0, 4000, labels.shape).astype(np.uint16)
    ((kind, message),) = findings(images, picture)
    assert kind == "error"
    assert "looks like an image" in message

    shuffled = labels.copy()
    for t in range(FRAMES):
        shuffled[t][labels[t] == 2] = 10 + 7 * t
        shuffled[t][labels[t] == 5] = 13 + 7 * t
    ((kind, message),) = findings(images, shuffled)
    assert kind == "error"
    assert "change their ids" in message

    ((kind, message),) = findings(images, np.zeros_like(labels))
    assert kind == "error"
    assert "empty" in message

    ((kind, message),) = findings(images[:1], labels[:1])
    assert kind == "warning"
    assert "no frame to validate on" in message

    with pytest.raises(InvalidInputError, match="one shape"):
        findings(images, labels[:, :-1])
