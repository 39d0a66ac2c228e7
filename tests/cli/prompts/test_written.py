from __future__ import annotations

import pytest

from sam2_core.cli.prompts import parse_prompts, require_inside
from sam2_core.errors import InvalidInputError, MissingFileError


def summary(objects):
    return {
        one.object_id: {frame: (prompt.points, prompt.labels, prompt.box) for frame, prompt in one.frames.items()}
        for one in objects
    }


def test_each_point_is_a_new_object():
    assert summary(parse_prompts(["10,20", "30.5,40"])) == {
        1: {0: ([(10, 20)], [1], None)},
        2: {0: ([(30.5, 40)], [1], None)},
    }


def test_background_belongs_to_the_object_before_it():
    assert summary(parse_prompts(["10,20", "11,21:0", "30,40", "31,41:0", "32,42:1"])) == {
        1: {0: ([(10, 20), (11, 21)], [1, 0], None)},
        2: {0: ([(30, 40), (31, 41)], [1, 0], None)},
        3: {0: ([(32, 42)], [1], None)},
    }


def test_ids_join_prompts():
    objects = parse_prompts(["5@10,20", "7,8", "5@3:11,21:0"], ["5@1,2,3,4"])
    assert summary(objects) == {
        1: {0: ([(7, 8)], [1], None)},
        5: {0: ([(10, 20)], [1], (1, 2, 3, 4)), 3: ([(11, 21)], [0], None)},
    }


def test_automatic_ids_avoid_named_ones():
    assert [one.object_id for one in parse_prompts(["1@5,5", "6,6", "3@7,7", "8,8"])] == [1, 2, 3, 4]


def test_frames():
    assert summary(parse_prompts(["12:10,20"], ["3:1,2,3,4"], default_frame=None)) == {
        1: {12: ([(10, 20)], [1], None)},
        2: {3: ([], [], (1, 2, 3, 4))},
    }
    with pytest.raises(InvalidInputError, match="which frame"):
        parse_prompts(["10,20"], default_frame=None)


def test_same_object():
    objects = parse_prompts(["10,20", "11,21"], ["1,2,30,40"], same_object=True)
    assert summary(objects) == {1: {0: ([(10, 20), (11, 21)], [1, 1], (1, 2, 30, 40))}}
    assert [one.object_id for one in parse_prompts(["4@1,1", "2,2"], same_object=True)] == [4]
    with pytest.raises(InvalidInputError, match="--same-object"):
        parse_prompts(["4@1,1", "5@2,2"], same_object=True)


def test_background_for_the_only_box():
    assert summary(parse_prompts(["10,20:0"], ["1,2,30,40"])) == {1: {0: ([(10, 20)], [0], (1, 2, 30, 40))}}
    with pytest.raises(InvalidInputError, match="which object"):
        parse_prompts(["10,20:0"], ["1,2,30,40", "50,50,60,60"])


def test_prompts_from_a_file(tmp_path):
    path = tmp_path / "clicks.txt"
    path.write_text("# nuclei\n10,20\n\n  2:30,40\n1, 2, 3, 4\n9@5,5\n", encoding="utf-8-sig")
    assert summary(parse_prompts(["0,0"], prompts_file=path)) == {
        1: {0: ([(0, 0)], [1], None)},
        2: {0: ([(10, 20)], [1], None)},
        3: {2: ([(30, 40)], [1], None)},
        4: {0: ([], [], (1, 2, 3, 4))},
        9: {0: ([(5, 5)], [1], None)},
    }
    with pytest.raises(MissingFileError):
        parse_prompts(prompts_file=tmp_path / "none.txt")


@pytest.mark.parametrize("text", ["", "10", "10;20", "x,y", "1,2,3", "1,2,3,4", "10,20:2", "a@1,2", "-1:1,2", "1,2:"])
def test_points_that_cannot_be_understood(text):
    with pytest.raises(InvalidInputError, match="Cannot understand --point"):
        parse_prompts([text])


@pytest.mark.parametrize("text", ["1,2", "1,2,3", "1,2,3,4:1", "1,2,3,4,5"])
def test_boxes_that_cannot_be_understood(text):
    with pytest.raises(InvalidInputError, match="Cannot understand --box"):
        parse_prompts((), [text])


def test_other_refusals():
    for arguments, message in [
        ((), "Nothing was prompted"),
        ((["1,2:0"],), "which object|only background"),
        ((["3@1,2:0"],), "only background"),
        ((["0@1,2"],), "between 1 and 65535"),
        (((), ["1@1,2,3,4", "1@5,6,7,8"]), "two boxes"),
    ]:
        with pytest.raises(InvalidInputError, match=message):
            parse_prompts(*arguments)


@pytest.mark.parametrize(
    ("points", "boxes", "message"),
    [
        (["20,5"], [], "outside.*x goes from 0 to 19, y from 0 to 9"),
        (["5,10"], [], "outside"),
        (["-1,5"], [], "outside"),
        (["3:5,5"], [], "frames 0 to 2"),
        ([], ["0,0,21,10"], "outside"),
        ([], ["5,5,3,8"], "inverted"),
        ([], ["5,5,5,8"], "inverted or empty"),
    ],
)
def test_prompts_outside_the_stack(points, boxes, message):
    with pytest.raises(InvalidInputError, match=message):
        require_inside(parse_prompts(points, boxes), 3, (10, 20))


def test_the_whole_picture_is_a_box():
    require_inside(parse_prompts(["19,9", "0,0"], ["0,0,20,10"]), 1, (10, 20))
