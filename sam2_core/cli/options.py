"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sam2_core.cli.prompts.label_image import LabelPrompt
from sam2_core.errors import InvalidInputError
from sam2_core.volumes.contrast import Contrast
from sam2_core.volumes.frame_stack import FrameStack

DEFAULT_CHECKPOINT = "sam2.1_hiera_micro"

StackSource = Annotated[
    str,
    typer.Argument(
        metavar="STACK",
        help="TIFF, OME-Zarr, folder of pictures, video, CZI, ND2, LIF, …: a path, or a URL of a zarr.",
    ),
]
ImageSource = Annotated[
    str, typer.Argument(metavar="IMAGE", help="A picture of any kind; or a stack or video, with --frame.")
]
OutputPath = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="Folder for the results; or the labels themselves: NAME.tif, NAME.zarr, IMAGE.zarr/labels/NAME, "
        "NAME.json, NAME.zip, 01_RES.",
        show_default=True,
    ),
]
Checkpoint = Annotated[
    str,
    typer.Option(
        "--checkpoint",
        "-c",
        help="Catalogue name (see 'sam2 info'), Hugging Face id, or a weights file (.pt, .safetensors).",
    ),
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps, or auto: the best there is.")]
Precision = Annotated[str, typer.Option(help="fp32, bf16, fp16, or auto: bf16 where the hardware is fast at it.")]
ImageSize = Annotated[
    int | None,
    typer.Option(
        help="Side of the model's input in pixels, a multiple of 32. For weights trained at another than 1024."
    ),
]
Points = Annotated[
    list[str] | None,
    typer.Option(
        "--point",
        "-p",
        metavar="[ID@][FRAME:]X,Y[:0|1]",
        help="A click, x first, in pixels. Each one is a new object; X,Y:0 is background for the object before it; "
        "ID@X,Y adds to object ID. Repeat for more.",
    ),
]
Boxes = Annotated[
    list[str] | None,
    typer.Option(
        "--box",
        "-b",
        metavar="[ID@][FRAME:]X0,Y0,X1,Y1",
        help="A box around a new object, or around object ID. Repeat for more.",
    ),
]
PromptsFile = Annotated[
    Path | None,
    typer.Option(
        "--prompts",
        metavar="FILE",
        help="Prompts of many objects: a table (id, frame, x, y, label or x0, y0, x1, y1; also those of napari, "
        "TrackMate, ImageJ), JSON, or text with one such point or box a line.",
    ),
]
LabelsFile = Annotated[
    str | None,
    typer.Option(
        "--prompts-from-labels",
        metavar="FILE",
        help="Label image of another program (Cellpose, StarDist, …), a path or the URL of an OME-Zarr: each of its "
        "objects is prompted, under its id.",
    ),
]
LabelPrompts = Annotated[
    LabelPrompt,
    typer.Option(help="What such an object becomes: its mask, the point farthest from its border, or its box."),
]
PointsPerSide = Annotated[int, typer.Option(min=1, help="Clicks tried along each side of the picture.")]
MinIou = Annotated[
    float | None, typer.Option(help="Keep masks whose predicted IoU is at least this; what suits the model by default.")
]
MinStability = Annotated[
    float | None,
    typer.Option(help="Keep masks whose edge is at least this sharp, 0 to 1; what suits the model by default."),
]
MinArea = Annotated[int, typer.Option(help="Drop masks, and fill holes, of fewer pixels.")]
MaxArea = Annotated[float, typer.Option(help="Drop masks that cover more than this part of the picture.")]
Frames = Annotated[
    str | None,
    typer.Option("--frames", metavar="FIRST:STOP", help="Look at frames FIRST to STOP-1 only; either may be left out."),
]
SameObject = Annotated[bool, typer.Option("--same-object", help="All points and boxes mean one object.")]
ContrastOption = Annotated[
    str | None,
    typer.Option(
        "--contrast",
        metavar="auto|LOW,HIGH",
        help="Intensities shown as black and white. By default 8-bit stays as it is and the rest is scaled between "
        "percentiles 1 and 99.8 of the stack; auto does so for 8-bit too.",
    ),
]
Channels = Annotated[
    str | None, typer.Option(metavar="0,1,…", help="Up to three channels, by number or name: red, green, blue.")
]
Axis = Annotated[str | None, typer.Option(help="Axis along which frames are counted, where there are several: z or t.")]
At = Annotated[
    list[str] | None, typer.Option("--at", metavar="AXIS=N", help="Position on another axis, such as t=3. Repeatable.")
]
Plane = Annotated[str, typer.Option(metavar="yx|zx|zy", help="Rows and columns of a frame.")]
Axes = Annotated[
    str | None, typer.Option(metavar="tczyx", help="A letter for each dimension, where the source does not name them.")
]
Level = Annotated[int | None, typer.Option(min=0, help="Resolution level of a multiscale image; 0 is the finest.")]
Series = Annotated[
    str | None, typer.Option(metavar="NAME|N", help="Which image, of a source that holds several: its name or number.")
]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Refuse chunks that are missing from a zarr store, rather than take them as empty."),
]
Scale = Annotated[
    str | None,
    typer.Option(metavar="z=2,y=0.5,…", help="Size of a step along axes, where the source does not say it."),
]


LabelFormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="Format of the labels: tiff, ome-zarr, png, ctc, coco, imagej-roi or a plugin's; by the destination's "
        "name by default.",
    ),
]
Filters = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="NAME[:OPTION=VALUE,…]",
        help="Clean the masks: fill-holes, remove-small:min_area=50, …; again for more. 'sam2 plugins list' shows "
        "which there are.",
    ),
]
Embeddings = Annotated[
    bool, typer.Option(help="Keep image features on disk, where this and other commands find them again.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace results that are there.")]


class PriorityName(StrEnum):
    """Whose a pixel is that several masks hold."""

    SUREST = "surest"
    LOWER_ID = "lower id"
    LAST = "last"


def parse_contrast(text: str | None) -> Contrast:
    """Read what came after ``--contrast``."""
    if text is None or text == "auto":
        return "auto" if text else None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise InvalidInputError(
            f"Cannot understand --contrast {text!r}. Expected auto or LOW,HIGH, such as 100,4000."
        ) from None
    return (low, high)


def parse_channels(text: str | None) -> tuple[int | str, ...] | None:
    """Read what came after ``--channels``."""
    if text is None:
        return None
    names = [part.strip() for part in text.split(",")]
    if not all(names):
        raise InvalidInputError(f"Cannot understand --channels {text!r}. Expected numbers or names, such as 0,1.")
    return tuple(int(name) if name.isdecimal() else name for name in names)


def parse_scale(text: str | None) -> dict[str, float] | None:
    """Read what came after ``--scale``."""
    if text is None:
        return None
    scale = {}
    for part in text.split(","):
        axis, _, number = part.strip().partition("=")
        try:
            scale[axis] = float(number)
        except ValueError:
            scale = {}
            break
    if not scale or not all(axis.isalpha() for axis in scale):
        raise InvalidInputError(f"Cannot understand --scale {text!r}. Expected AXIS=SIZE,…, such as z=2,y=0.5,x=0.5.")
    return scale


def parse_positions(texts: Sequence[str] | None) -> Mapping[str, int]:
    """Read what came after ``--at``, once or more."""
    positions = {}
    for text in texts or ():
        axis, _, number = text.partition("=")
        if not (axis.isalpha() and number.isdecimal()):
            raise InvalidInputError(f"Cannot understand --at {text!r}. Expected AXIS=N, such as t=3.")
        positions[axis] = int(number)
    return positions


def parse_pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """Read what came after an option that takes ``NAME=VALUE``, once or more."""
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name.strip().isidentifier() and equals):
            raise InvalidInputError(f"Cannot understand {option} {text!r}. Expected NAME=VALUE.")
        pairs[name.strip()] = value.strip()
    return pairs


def require_frame(frame: int, stack: FrameStack) -> None:
    """Refuse a frame that a stack does not have.

    Raises
    ------
    InvalidInputError
        Naming those it has.
    """
    if not 0 <= frame < len(stack):
        raise InvalidInputError(f"{stack.name} has frames 0 to {len(stack) - 1}; there is no frame {frame}.")


def parse_frames(text: str | None, frame_count: int) -> range:
    """Read what came after ``--frames``.

    Parameters
    ----------
    text : str or None
        FIRST:STOP, of which STOP is the first frame that is left out, as in Python; or a single frame.
    frame_count : int
        Of the stack.

    Raises
    ------
    InvalidInputError
        It cannot be understood, or names frames that do not exist.
    """
    if text is None:
        return range(frame_count)
    match = re.fullmatch(r"(?P<first>\d*)(?P<colon>:?)(?P<stop>\d*)", text.replace(" ", ""))
    if match is None or not (match["first"] or match["colon"]):
        raise InvalidInputError(f"Cannot understand --frames {text!r}. Expected FIRST:STOP, such as 10:50, 10: or :50.")
    first = int(match["first"] or 0)
    stop = int(match["stop"] or frame_count) if match["colon"] else first + 1
    if not 0 <= first < stop <= frame_count:
        raise InvalidInputError(
            f"--frames {text}: the stack has frames 0 to {frame_count - 1}; expected FIRST < STOP, and STOP at most "
            f"{frame_count}, since frame STOP is the first one left out."
        )
    return range(first, stop)
