from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import regionprops_table

from sam2_core.cli.prompts.stack_geometry import StackGeometry
from sam2_core.cli.prompts.table import read_table
from sam2_core.errors import InvalidInputError

Z = StackGeometry(axis="z")
T = StackGeometry(axis="t")
MICRON = StackGeometry(axis="t", spacing=(1.0, 0.5, 0.25), unit="micrometer")


def read(text, geometry=Z, name="a.csv"):
    return [
        (one.object_id, one.frame, one.numbers, one.label if one.is_point else None)
        for one in read_table(text, name, geometry)
    ]


def test_our_own_columns():
    assert read("id,frame,x,y,label\n3,12,10.5,20,1\n3,12,11,21,0\n4,2,5,6,\n") == [
        (3, 12, (10.5, 20), 1),
        (3, 12, (11, 21), 0),
        (4, 2, (5, 6), 1),
    ]


def test_boxes_and_points_in_one_table():
    text = "Object;Z;X;Y;X0;Y0;X1;Y1\n1;0;;;1,5;2;30;40\n2;3;7;8;;;;\n"
    assert read(text) == [(1, 0, (1.5, 2, 30, 40), None), (2, 3, (7, 8), 1)]


@pytest.mark.parametrize(
    "header",
    [
        "ID,Z,X,Y",
        " object , z (px) , X (px) , y (pixels)",
        "track id\tplane\tx\ty",
        "Cell ID,frame,centroid_x,centroid_y",
    ],
)
def test_names_of_columns_are_tolerated(header):
    cells = "\t" if "\t" in header else ","
    assert read(f"{header}\n{cells.join('5678')}\n") == [(5, 6, (7, 8), 1)]


def test_the_axis_of_the_stack_chooses_the_frame():
    text = "t,z,x,y\n3,4,1,2\n3,5,1,2\n"
    assert [frame for _, frame, _, _ in read(text)] == [4, 5]
    with pytest.raises(InvalidInputError, match="line 3: column z changes"):
        read(text, T)
    with pytest.raises(InvalidInputError, match="both may be the frame"):
        read(text, StackGeometry())
    with pytest.raises(InvalidInputError, match="counts along t"):
        read("t,x,y\n1,2,3\n")


def test_what_napari_saves_of_points_and_shapes():
    assert read("index,axis-0,axis-1,axis-2\n0.0,7.2,20.5,10.25\n1.0,8.0,1.0,2.0\n") == [
        (None, 7, (10.25, 20.5), 1),
        (None, 8, (2, 1), 1),
    ]
    assert read("index,axis-0,axis-1\n0,20,10\n") == [(None, None, (10, 20), 1)]
    four = "index,axis-0,axis-1,axis-2,axis-3\n0,2,7,20,10\n1,2,8,20,10\n"
    assert [frame for _, frame, _, _ in read(four)] == [7, 8]
    with pytest.raises(InvalidInputError, match="column axis-1 changes"):
        read(four, T)
    corners = ((5, 6), (5, 16), (9, 16), (9, 6))
    lines = [f"0,rectangle,{number},3,{y},{x}" for number, (y, x) in enumerate(corners)]
    header = "index,shape-type,vertex-index,axis-0,axis-1,axis-2"
    assert read("\n".join([header, *lines])) == [(None, 3, (6, 5, 16, 9), None)]
    with pytest.raises(InvalidInputError, match="line 2: a polygon"):
        read("\n".join([header, *lines]).replace("rectangle", "polygon"))


def test_what_scikit_image_measures():
    labels = np.zeros((4, 20, 30), int)
    labels[1, 5:8, 10:15] = 3
    labels[2, 11:14, 20:23] = 9
    table = regionprops_table(labels, properties=("label", "centroid"))
    lines = [",".join(table), *(",".join(str(value) for value in row) for row in zip(*table.values(), strict=True))]
    assert read("\n".join(lines)) == [(3, 1, (12, 6), 1), (9, 2, (21, 12), 1)]


TRACKMATE = """LABEL,ID,TRACK_ID,QUALITY,POSITION_X,POSITION_Y,POSITION_Z,POSITION_T,FRAME,RADIUS
Label,Spot ID,Track ID,Quality,X,Y,Z,T,Frame,Radius
Label,Spot ID,Track ID,Quality,X,Y,Z,T,Frame,R
,,,(quality),(micron),(micron),(micron),(sec),,(micron)
ID2,2,0,5.1,10.0,20.0,0,0,0,5
ID7,7,0,5.1,11.0,20.5,0,60,1,5
ID9,9,4,5.1,1.0,2.0,0,60,1,5
"""


def test_trackmate():
    assert read(TRACKMATE, MICRON) == [(1, 0, (40, 40), 1), (1, 1, (44, 41), 1), (5, 1, (4, 4), 1)]
    assert read(TRACKMATE.replace("(micron)", "(pixel)"), T)[0] == (1, 0, (10, 20), 1)
    with pytest.raises(InvalidInputError, match="pixel size of the stack is not known"):
        read(TRACKMATE, T)
    with pytest.raises(InvalidInputError, match="--axis t"):
        read(TRACKMATE, Z)


def test_results_of_imagej():
    text = " ,Area,Mean,X,Y,Slice\n1,0,120,10,20,1\n2,0,99,30,40,5\n"
    assert read(text) == [(None, 0, (10, 20), 1), (None, 4, (30, 40), 1)]
    with pytest.raises(InvalidInputError, match="does not say whether X and Y are pixels"):
        read(text, MICRON)
    in_units = text.replace("X,Y", "X (um),Y (um)")
    assert read(in_units, StackGeometry("z", (1, 0.5, 0.25), "nm"))[0][2] == pytest.approx((40_000, 40_000))
    with pytest.raises(InvalidInputError, match="line 2: frame 0; frames count from 1"):
        read(text.replace(",20,1", ",20,0"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3\n", "line 1 holds numbers"),
        ("id,frame\n1,2\n", "columns for a position are missing"),
        ("id,x\n1,2\n", "columns for a position are missing.*got id, x"),
        ("id,x,y\n", "no line below"),
        ("id,object,x,y\n1,1,2,3\n", "id and object mean the same"),
        ("id,x,y\n1,2,3\n\n1,two,3\n", "line 4: 'two' in column x is not a number"),
        ("id,x,y\n1,nan,3\n", "line 2: 'nan'"),
        ("id,x,y\n1,2,\n", "line 2: a point needs a number in column y"),
        ("id,x,y\n1,,\n", "line 2: no position"),
        ("id,x0,y0,x1,y1\n1,2,3,4,\n", "line 2: a box needs a number in column y1"),
        ("id,x,y\n1.5,2,3\n", "line 2: 1.5 in column id must be a whole number"),
        ("id,x,y\n0,2,3\n", "line 2:.*between 1 and 65535"),
        ("id,frame,x,y\n1,-1,2,3\n", "line 2: frame -1"),
        ("id,x,y,label\n1,2,3,7\n", "line 2: '7' in column label must be 1"),
        ("id,x,y\n1,2,3,4\n", "line 2 has 4 cells"),
        ("id,slice,x,y\n1,2,3,4\n", "from 0 or from 1"),
        ("id,x (parsec),y (parsec)\n1,3,4\n", "'parsec'"),
        ("id,x (um),y (px)\n1,3,4\n", "several units"),
    ],
)
def test_refusals_name_the_line(text, message):
    with pytest.raises(InvalidInputError, match=message):
        read(text)
