from __future__ import annotations

import pytest

from sam2_core.cli.prompts import StackGeometry, parse_prompts
from sam2_core.errors import InvalidInputError, MissingFileError

TEXT = "# nuclei\n5@2:10,20\n"
TABLE = "id,z,x,y\n5,2,10,20\n"
JSON = '{"objects": [{"id": 5, "frame": 2, "points": [[10, 20]]}]}'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", TEXT),
        ("a", TEXT),
        ("a.csv", TABLE),
        ("a.tsv", TABLE.replace(",", "\t")),
        ("a.txt", TABLE),
        ("a.CSV", "\ufeff" + TABLE.replace("\n", "\r\n")),
        ("a.json", JSON),
        ("a.txt", JSON),
    ],
)
def test_kinds_are_told_apart(tmp_path, name, content):
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    (one,) = parse_prompts(prompts_file=tmp_path / name, geometry=StackGeometry("z"))
    assert one.object_id == 5
    assert one.frames[2].points == [(10, 20)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", " \n", "is empty"),
        ("a.txt", "1,2\n# x\nnonsense\n", "a.txt, line 3 'nonsense'"),
        ("a.csv", "10,20\n30,40\n", "line 1 holds numbers"),
        ("a.csv", "id,x0,y0,x1,y1\n1,0,0,5,5\n2,0,0,5,5\n1,0,0,6,6\n", "line 4: object 1 has two boxes.*line 2"),
        ("a.csv", "id,x,y,label\n1,5,5,1\n1,5,5,0\n", "line 3: object 1.*both as object and as background"),
        ("a.csv", "id,x,y,label\n1,5,5,0\n", "line 2: object 1 has only background"),
        ("a.csv", "x,y,label\n5,5,0\n", "does not say which object"),
    ],
)
def test_refusals(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InvalidInputError, match=message):
        parse_prompts(prompts_file=tmp_path / name)


def test_no_text(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(InvalidInputError, match=r"not a text file.*--prompts-from-labels"):
        parse_prompts(prompts_file=tmp_path / "a.csv")
    with pytest.raises(InvalidInputError, match="folder"):
        parse_prompts(prompts_file=tmp_path)
    with pytest.raises(MissingFileError):
        parse_prompts(prompts_file=tmp_path / "none.csv")


def test_what_is_written_twice_counts_once(tmp_path):
    (tmp_path / "a.csv").write_text("id,x,y,x0,y0,x1,y1\n1,5,5,0,0,9,9\n1,5,5,0,0,9,9\n")
    (one,) = parse_prompts(prompts_file=tmp_path / "a.csv")
    assert one.frames[0].points == [(5, 5)]
    assert one.frames[0].box == (0, 0, 9, 9)
