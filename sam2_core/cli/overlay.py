"""Pictures of results: translucent colours, contours, the prompts, and a montage for stacks."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sam2_core.cli.prompts import FramePrompt

OPACITY = 0.35
# more ids than this hide the picture
NUMBERED_OBJECTS = 60
PICTURE_SIDE = (640, 1600)
TILE_SIDE = (200, 340)
MAX_TILES = 12
_GAP = 6
_BACKGROUND = (24, 24, 28)


@dataclass(frozen=True)
class OverlayFrame:
    """One frame to draw.

    Attributes
    ----------
    picture : ndarray, (y, x, 3) uint8
    labels : ndarray, (y, x) integer
        0 is background.
    prompts : sequence of (int, FramePrompt)
        Object id and its prompt on this frame.
    caption : str
        Written above, if any.
    reduction : int
        By how much picture and labels were reduced; prompts are in pixels of the whole picture.
    """

    picture: NDArray[np.uint8]
    labels: NDArray[np.integer]
    prompts: Sequence[tuple[int, FramePrompt]] = ()
    caption: str = ""
    reduction: int = 1


def object_colour(object_id: int) -> tuple[int, int, int]:
    """RGB colour of an object: neighbouring ids get hues far apart, and an id always the same."""
    # the golden ratio's multiples never repeat and spread evenly
    hue = (object_id * 0.61803398875) % 1.0
    value = (1.0, 0.85)[object_id % 2]
    saturation = (0.95, 0.65, 0.8)[object_id % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_frame(frame: OverlayFrame, side_limits: tuple[int, int] = PICTURE_SIDE) -> NDArray[np.uint8]:
    """Draw one frame with its objects.

    Small pictures are enlarged by a whole factor and large ones reduced, so that the longer side lies between the
    limits where possible; contours and prompts are drawn afterwards and stay thin.

    Returns
    -------
    ndarray, (y, x, 3), uint8
    """
    height, width = frame.labels.shape
    factor = _factor(max(height, width), side_limits)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    picture = np.asarray(Image.fromarray(frame.picture).resize(size, Image.Resampling.BILINEAR)).astype(np.float32)
    labels = _resized_labels(frame.labels, size)
    ids = np.unique(labels)
    colours = np.zeros((int(ids.max(initial=0)) + 1, 3), dtype=np.float32)
    for object_id in ids[ids > 0]:
        colours[object_id] = object_colour(int(object_id))
    painted = colours[labels]
    inside = labels > 0
    picture[inside] = (1 - OPACITY) * picture[inside] + OPACITY * painted[inside]
    edge = _contours(labels)
    picture[edge] = painted[edge]
    image = Image.fromarray(np.rint(picture).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for object_id, prompt in frame.prompts:
        _draw_prompt(pen, object_id, prompt, size[0] / width / frame.reduction, size[1] / height / frame.reduction)
    if 0 < len(ids[ids > 0]) <= NUMBERED_OBJECTS:
        _draw_numbers(pen, labels, ids[ids > 0])
    return np.asarray(image)


def draw_montage(frames: Sequence[OverlayFrame]) -> NDArray[np.uint8]:
    """Draw several frames of one size as a grid with their captions.

    Returns
    -------
    ndarray, (y, x, 3), uint8
    """
    tiles = [draw_frame(frame, TILE_SIDE) for frame in frames]
    font = ImageFont.load_default(size=13)
    caption_height = 18 if any(frame.caption for frame in frames) else 0
    tile_height, tile_width = tiles[0].shape[:2]
    columns = _column_count(len(tiles), tile_width, tile_height + caption_height)
    rows = -(-len(tiles) // columns)
    sheet = Image.new(
        "RGB",
        (columns * (tile_width + _GAP) + _GAP, rows * (tile_height + caption_height + _GAP) + _GAP),
        _BACKGROUND,
    )
    pen = ImageDraw.Draw(sheet)
    for number, (tile, frame) in enumerate(zip(tiles, frames, strict=True)):
        x = _GAP + number % columns * (tile_width + _GAP)
        y = _GAP + number // columns * (tile_height + caption_height + _GAP)
        pen.text((x + 2, y + 1), frame.caption, fill=(225, 225, 225), font=font)
        sheet.paste(Image.fromarray(tile), (x, y + caption_height))
    return np.asarray(sheet)


def montage_frames(frame_count: int, prompted: Sequence[int], limit: int = MAX_TILES) -> list[int]:
    """Choose which frames of a stack to show: evenly spread, the prompted ones among them (the first few, if many)."""
    if frame_count <= limit:
        return list(range(frame_count))
    chosen = set(sorted(set(prompted))[: limit // 2])
    spread = np.linspace(0, frame_count - 1, limit).round().astype(int).tolist()
    # of the evenly spread ones leave out those nearest to a prompted frame, which stands for them
    for index in sorted(spread, key=lambda index: -min((abs(index - kept) for kept in chosen), default=0)):
        if len(chosen) < limit:
            chosen.add(index)
    return sorted(chosen)


def _factor(longer_side: int, limits: tuple[int, int]) -> float:
    smallest, largest = limits
    if longer_side > largest:
        return largest / longer_side
    # whole factors keep pixels square
    return float(max(1, min(-(-smallest // longer_side), largest // longer_side)))


def _resized_labels(labels: NDArray[np.integer], size: tuple[int, int]) -> NDArray[np.intp]:
    width, height = size
    rows = np.arange(height) * labels.shape[0] // height
    columns = np.arange(width) * labels.shape[1] // width
    resized: NDArray[np.intp] = labels[rows[:, None], columns[None, :]].astype(np.intp)
    return resized


def _contours(labels: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Pixels of objects that touch another label; an object cut by the border of the picture stays open there."""
    edge = np.zeros(labels.shape, dtype=bool)
    differs_down = labels[1:] != labels[:-1]
    differs_right = labels[:, 1:] != labels[:, :-1]
    edge[1:] |= differs_down
    edge[:-1] |= differs_down
    edge[:, 1:] |= differs_right
    edge[:, :-1] |= differs_right
    return edge & (labels > 0)


def _draw_prompt(pen: ImageDraw.ImageDraw, object_id: int, prompt: FramePrompt, scale_x: float, scale_y: float) -> None:
    if prompt.box is not None:
        corners = [coordinate * scale for coordinate, scale in zip(prompt.box, (scale_x, scale_y) * 2, strict=True)]
        pen.rectangle(corners, outline=object_colour(object_id), width=2)
    for (x, y), label in zip(prompt.points, prompt.labels, strict=True):
        # a point names a pixel: its mark belongs into the middle of it
        centre_x, centre_y = (x + 0.5) * scale_x, (y + 0.5) * scale_y
        colour = (60, 255, 60) if label else (255, 60, 60)
        circle = (centre_x - 4, centre_y - 4, centre_x + 4, centre_y + 4)
        pen.ellipse(circle, fill=colour, outline=(255, 255, 255))
        pen.line((centre_x - 2, centre_y, centre_x + 2, centre_y), fill=(0, 0, 0))
        if label:
            pen.line((centre_x, centre_y - 2, centre_x, centre_y + 2), fill=(0, 0, 0))


def _draw_numbers(pen: ImageDraw.ImageDraw, labels: NDArray[np.intp], ids: NDArray[np.intp]) -> None:
    # not before a picture is drawn: `sam2 --help` does without torch
    from sam2_core.kernels import mask_components

    font = ImageFont.load_default(size=12)
    for object_id in ids:
        # the largest piece has the number, not a speck somewhere else
        pieces, areas = mask_components(labels == object_id)
        rows, columns = np.nonzero(pieces == pieces.flat[areas.argmax()])
        text = str(object_id)
        left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
        # above the object, where neither its inside nor a click is hidden
        middle = float(columns[rows == rows.min()].mean())
        x = float(np.clip(middle - (right - left) / 2, 0, max(0, labels.shape[1] - (right - left) - 1)))
        y = max(0.0, float(rows.min()) - (bottom - top) - 5)
        pen.text((x, y), text, fill=(255, 255, 255), font=font, stroke_width=1, stroke_fill=(0, 0, 0))


def _column_count(tile_count: int, tile_width: int, tile_height: int) -> int:
    """Columns for a sheet about 4:3 that leaves few empty places."""
    wanted = 4 / 3

    def badness(columns: int) -> float:
        rows = -(-tile_count // columns)
        shape = (columns * tile_width) / (rows * tile_height)
        return abs(float(np.log(shape / wanted))) + 0.5 * (columns * rows - tile_count) / tile_count

    return min(range(1, tile_count + 1), key=badness)
