"""SA-V's and SA-1B's JSON: the masks that were written come back, and the official loaders read the same."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_masks

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.training.frame_samplers import EvalSampler, RandomUniformSampler
from sam2_core.training.raw_videos import JSONRawDataset, SA1BRawDataset
from sam2_core.training.segment_loaders import JSONSegmentLoader, SA1BSegmentLoader
from sam2_core.training.video_dataset import VOSDataset

HEIGHT, WIDTH = 20, 30


def disc(x: float, y: float = 10, radius: float = 5) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2 < radius**2)


def run_length(mask: NDArray[np.bool_]) -> dict[str, Any]:
    encoded = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(encoded["size"]), "counts": encoded["counts"].decode()}


#: Masks of SA-V's annotated frames, every fourth; nobody drew object 1 on the second.
DRAWN: list[list[NDArray[np.bool_] | None]] = [[disc(6), disc(20)], [disc(8), None], [disc(10), disc(24)]]
STEP = 4


@pytest.fixture
def videos(tmp_path: Path) -> tuple[Path, Path]:
    """Folders of images and annotations in the layout of SA-V."""
    for name in ("sav_1", "sav_2"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for t in range(STEP * len(DRAWN)):
            picture = np.full((HEIGHT, WIDTH, 3), 10 * t, np.uint8)
            Image.fromarray(picture).save(tmp_path / "images" / name / f"{t:05d}.jpg")
    (tmp_path / "labels").mkdir()
    runs = [[None if mask is None else run_length(mask) for mask in masks] for masks in DRAWN]
    (tmp_path / "labels" / "sav_1_manual.json").write_text(json.dumps({"masklet": runs, "fps": 6.0}))
    # the layout without a rate, and the field's other name
    (tmp_path / "labels" / "sav_2_manual.json").write_text(json.dumps({"masks": runs}))
    return tmp_path / "images", tmp_path / "labels"


#: Masks and how certain they are; the third is empty.
OBJECTS = [(disc(5), 0.95), (disc(15, radius=9), 0.9), (np.zeros((HEIGHT, WIDTH), bool), 0.9), (disc(24), 0.4)]


@pytest.fixture
def images(tmp_path: Path) -> tuple[Path, Path]:
    """Folders of images and annotations in the layout of SA-1B; here they are one."""
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(tmp_path / "sa_223750.jpg")
    annotations = [
        {"segmentation": run_length(mask), "area": int(mask.sum()), "uncertain_iou": sure} for mask, sure in OBJECTS
    ]
    (tmp_path / "sa_223750.json").write_text(json.dumps({"image": {"image_id": 223750}, "annotations": annotations}))
    return tmp_path, tmp_path


@pytest.fixture
def official() -> Iterator[Any]:
    if importlib.util.find_spec("training") is None:
        pytest.skip("needs the official package as oracle; install it with `make oracle`")
    yield importlib.import_module("training.dataset.vos_raw_dataset")
    for name in [name for name in sys.modules if name.partition(".")[0] == "training"]:
        del sys.modules[name]


def equal(found: Any, drawn: NDArray[np.bool_] | None) -> bool:
    if found is None or drawn is None:
        return found is None and drawn is None
    return np.array_equal(found.numpy(), drawn)


def test_masks_of_sa_v_come_back_on_annotated_frames(videos: tuple[Path, Path]) -> None:
    dataset = JSONRawDataset(*videos, ann_every=STEP)

    for index, name in enumerate(("sav_1", "sav_2")):
        video, loader = dataset.get_video(index)
        assert video.video_name == name
        # the frame on which an object lacks its mask is left out
        assert [frame.frame_idx for frame in video.frames] == [0, 2 * STEP]
        for number, drawn in enumerate(DRAWN):
            found = loader.load(STEP * number)
            assert list(found) == [0, 1]
            assert all(equal(found[identity], mask) for identity, mask in enumerate(drawn))
        assert isinstance(loader, JSONSegmentLoader)
        assert list(loader.load(0, obj_ids=[1, 5])) == [1]


def test_every_frame_of_sa_v_is_there_if_wanted(videos: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "left_out.txt").write_text("sav_2\n")
    dataset = JSONRawDataset(
        *videos, excluded_videos_list_txt=tmp_path / "left_out.txt", sample_rate=2, rm_unannotated=False
    )

    assert len(dataset) == 1
    video, _ = dataset.get_video(0)
    assert [frame.frame_idx for frame in video.frames] == [0, 2, 4, 6, 8, 10]


def test_sa_v_becomes_training_frames(videos: tuple[Path, Path]) -> None:
    raw = JSONRawDataset(*videos, ann_every=STEP)
    point = VOSDataset([], False, raw, EvalSampler(), 1)[1]

    assert [[thing.object_id for thing in frame.objects] for frame in point.frames] == [[0, 1], [0, 1]]
    segment = point.frames[1].objects[1].segment
    assert equal(segment, DRAWN[2][1])
    assert np.asarray(point.frames[1].data).mean() == pytest.approx(80, abs=3)


def test_sa_v_is_read_as_the_official_loader_does(videos: tuple[Path, Path], official: Any) -> None:
    ours = JSONRawDataset(*videos, ann_every=STEP)
    theirs = official.JSONRawDataset(*map(str, videos), ann_every=STEP)

    assert ours.video_names == theirs.video_names
    for index in range(len(ours)):
        (video, loader), (their_video, their_loader) = ours.get_video(index), theirs.get_video(index)
        assert [frame.frame_idx for frame in video.frames] == [frame.frame_idx for frame in their_video.frames]
        assert [frame.image_path for frame in video.frames] == [frame.image_path for frame in their_video.frames]
        for number in range(len(DRAWN)):
            found, expected = loader.load(STEP * number), their_loader.load(STEP * number)
            assert list(found) == list(expected)
            for identity, mask in expected.items():
                given = found[identity]
                assert (mask is None and given is None) or torch.equal(given, mask)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"masklet": [], "fps": 7}', "7 fps, which does not divide 24"),
        ('{"tracks": []}', '"masklet"'),
        ("{", "not readable JSON"),
    ],
)
def test_another_file_than_sa_v_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InvalidInputError, match=message):
        JSONSegmentLoader(tmp_path / "a.json")
    with pytest.raises(MissingFileError, match=r"b\.json"):
        JSONSegmentLoader(tmp_path / "b.json")


def test_frames_that_sa_v_says_nothing_of_are_refused(videos: tuple[Path, Path]) -> None:
    loader = JSONSegmentLoader(videos[1] / "sav_1_manual.json")
    with pytest.raises(InvalidInputError, match="every 4th"):
        loader.load(3)
    with pytest.raises(InvalidInputError, match=r"frame 12.*ends with frame 8"):
        loader.load(12)


@pytest.mark.parametrize(
    ("options", "kept"),
    [({}, [0, 1, 3]), ({"mask_area_frac_thresh": 0.3}, [0, 3]), ({"uncertain_iou": 0.5}, [0, 1])],
)
def test_masks_of_sa_1b_come_back(
    images: tuple[Path, Path], official: Any, options: dict[str, Any], kept: list[int]
) -> None:
    video, loader = SA1BRawDataset(*images, num_frames=2, **options).get_video(0)
    their_video, their_loader = official.SA1BRawDataset(*map(str, images), num_frames=2, **options).get_video(0)

    assert (video.video_name, video.video_id) == (their_video.video_name, their_video.video_id) == ("223750", 223750)
    assert [frame.frame_idx for frame in video.frames] == [0, 1]
    found, expected = loader.load(1), their_loader.load(1)
    assert list(found) == list(expected.keys()) == list(range(len(kept)))
    for index, number in enumerate(kept):
        assert equal(found[index], OBJECTS[number][0])
        assert torch.equal(found[index], expected[index])  # type: ignore[arg-type]


def test_sa_1b_becomes_training_frames(images: tuple[Path, Path]) -> None:
    raw = SA1BRawDataset(*images, num_frames=1, mask_area_frac_thresh=0.3)
    point = VOSDataset([], True, raw, RandomUniformSampler(1, 5), 1)[0]

    (frame,) = point.frames
    masks = {thing.object_id: thing.segment for thing in frame.objects}
    assert sorted(masks) == [0, 1]
    assert equal(masks[0], OBJECTS[0][0])
    assert equal(masks[1], OBJECTS[3][0])


def test_another_file_than_sa_1b_is_refused(images: tuple[Path, Path]) -> None:
    path = images[1] / "sa_223750.json"
    with pytest.raises(InvalidInputError, match="video_frame_path"):
        SA1BSegmentLoader(path, 0.5)
    path.write_text("[]")
    with pytest.raises(InvalidInputError, match="SA-1B"):
        SA1BSegmentLoader(path)
