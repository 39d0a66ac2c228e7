from __future__ import annotations

import json

import pytest

from sam2_core.cli.prompts.json_file import read_json
from sam2_core.errors import InvalidInputError


def read(content):
    text = content if isinstance(content, str) else json.dumps(content)
    return [(one.object_id, one.frame, one.numbers, one.label) for one in read_json(text, "a.json")]


def test_our_own_form():
    content = {
        "objects": [
            {"id": 2, "prompts": [{"frame": 12, "points": [[30, 22], [35.5, 40]], "labels": [1, 0]}]},
            {"frame": 3, "box": [1, 2, 30, 40]},
            {"prompts": [{"frame": 0, "points": [[1, 1]]}, {"frame": 9, "points": [[2, 2]], "box": [0, 0, 5, 5]}]},
        ]
    }
    expected = [
        (2, 12, (30, 22), 1),
        (2, 12, (35.5, 40), 0),
        (1, 3, (1, 2, 30, 40), 1),
        (3, 0, (1, 1), 1),
        (3, 9, (2, 2), 1),
        (3, 9, (0, 0, 5, 5), 1),
    ]
    assert read(content) == expected
    assert read(content["objects"]) == expected


def test_boxes_of_coco():
    content = {
        "images": [{"id": 100, "file_name": "a.png"}, {"id": 7, "file_name": "b.png"}],
        "annotations": [
            {"id": 1, "image_id": 7, "bbox": [10, 20, 30, 40], "category_id": 1},
            {"id": 2, "track_id": 9, "image_id": 100, "bbox": [1, 2, 3, 4]},
        ],
    }
    assert read(content) == [(1, 1, (10, 20, 40, 60), 1), (9, 0, (1, 2, 4, 6), 1)]
    content["annotations"][0]["image_id"] = 8
    with pytest.raises(InvalidInputError, match=r"annotations\[0\]: image_id 8"):
        read(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"objects": [\n{"id": 1,}]}', "a.json, line 2: this is not JSON"),
        ({}, "no list of objects"),
        ({"objects": []}, "no list of objects"),
        ({"objects": [3]}, r"objects\[0\]: expected a mapping"),
        ({"objects": [{"id": "a", "points": [[1, 2]]}]}, "id must be a whole number"),
        ({"objects": [{"id": 0, "points": [[1, 2]]}]}, "between 1 and 65535"),
        ({"objects": [{"id": 1, "points": [[1, 2]]}, {"id": 1, "points": [[3, 4]]}]}, "object id 1 is there twice"),
        ({"objects": [{"id": 1}]}, "neither points nor a box"),
        ({"objects": [{"id": 1, "prompts": []}]}, "at least one prompt"),
        ({"objects": [{"point": [1, 2]}]}, "point is not known here"),
        ({"objects": [{"id": 1, "frame": -1, "points": [[1, 2]]}]}, "whole number from 0"),
        ({"objects": [{"id": 1, "prompts": [{"points": [[1, 2, 3]]}]}]}, r"objects\[0\].prompts\[0\]: a point must be"),
        ({"objects": [{"id": 1, "points": [[1, 2]], "labels": [1, 1]}]}, "each of the 1 points"),
        ({"objects": [{"id": 1, "points": [[1, 2]], "labels": [2]}]}, "labels must hold 1"),
        ({"objects": [{"id": 1, "box": [1, 2, 3]}]}, "box must be"),
        ('{"objects": [{"id": 1, "box": [1, 2, 3, NaN]}]}', "box must be"),
        ({"annotations": [{"id": 1, "bbox": [1, 2, 3]}]}, r"annotations\[0\]: bbox must be"),
        ({"annotations": []}, "at least one annotation"),
    ],
)
def test_refusals_name_the_place(content, message):
    with pytest.raises(InvalidInputError, match=message):
        read(content)


def test_an_id_that_is_there_twice_among_very_many():
    objects = [{"id": number, "points": [[1, 2]]} for number in [*range(1, 12_000), 7]]
    with pytest.raises(InvalidInputError, match="object id 7 is there twice"):
        read({"objects": objects})
