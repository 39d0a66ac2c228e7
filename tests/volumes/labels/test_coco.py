from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels import open_label_writer, open_labels
from tests.volumes.labels.random_labels import painted_stack


def write_all(path, labels, **options):
    with open_label_writer(path, length=len(labels), frame_size=labels.shape[1:], **options) as writer:
        for index, frame in enumerate(labels):
            writer.write(index, frame)


def test_what_pycocotools_reads(tmp_path, capsys):
    labels = painted_stack()
    write_all(tmp_path / "a.json", labels, spacing=(2, 0.5, 0.5), metadata={"model": "tiny"})
    coco = COCO(tmp_path / "a.json")
    assert coco.getCatIds() == [1]
    assert len(coco.getImgIds()) == 4
    for index, frame in enumerate(labels):
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=index + 1))
        assert [one["track_id"] for one in annotations] == np.unique(frame[frame > 0]).tolist()
        for one in annotations:
            mask = frame == one["track_id"]
            assert np.array_equal(coco.annToMask(one), mask)
            assert one["area"] == mask.sum()
            ys, xs = np.nonzero(mask)
            assert one["bbox"] == [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]
    with open_labels(tmp_path / "a.json") as stack:
        assert (stack.axis, stack.spacing, stack.metadata) == ("z", (2, 0.5, 0.5), {"model": "tiny"})


def foreign(**changes):
    image = {"file_name": "a.png", "height": 6, "width": 8}
    return {
        "images": [{"id": 10, **image}, {"id": 20, **image}],
        "annotations": [
            {"id": 5, "image_id": 20, "category_id": 1, "segmentation": {"size": [6, 8], "counts": [0, 6, 42]}},
            {"id": 6, "image_id": 10, "category_id": 1, "segmentation": [[1, 1, 5, 1, 5, 4, 1, 4]]},
        ],
        **changes,
    }


def test_a_file_of_another_program(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(foreign()))
    with open_labels(tmp_path / "a.json") as stack:
        assert len(stack) == 2
        assert np.unique(stack.read(0)).tolist() == [0, 6]
        assert (stack.read(1)[:, 0] == 5).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not COCO"),
        ('{"images": 3}', "not COCO"),
        (foreign(images=[], annotations=[]), "0 sizes"),
        (foreign(images=[{"id": 10, "height": 6, "width": 8}, {"id": 20, "height": 7, "width": 8}]), "2 sizes"),
        (foreign(annotations=foreign()["annotations"][:1] * 2), "annotated twice"),
        (foreign(annotations=[{"id": 1, "image_id": 99, "segmentation": []}]), "not COCO"),
        (foreign(annotations=[{"id": 0, "image_id": 10, "segmentation": []}]), "1 or more"),
    ],
)
def test_what_cannot_be_read(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(InvalidInputError, match=message):
        open_labels(tmp_path / "a.json")
