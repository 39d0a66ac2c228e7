"""Small Leica image files: a header in XML, which says where each image's pixels lie in its block of memory."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

import numpy as np

# DimID in the header, and the unit that Leica gives lengths in.
_DIMENSIONS = {"x": (1, "m"), "y": (2, "m"), "z": (3, "m"), "t": (4, "s")}
_GREY, *_COLOURS = range(4)  # ChannelTag


class LifImage(NamedTuple):
    """An image of a LIF file.

    ``pixels`` is (t, c, z, y, x), or (t, 1, z, y, x, 3) as red, green, blue. ``steps`` are from one element of an axis
    to the next: metres, seconds for t; an axis that has none gets a length of 0. ``folder`` is where the image lies in
    the tree that Leica's software shows.
    """

    name: str
    pixels: np.ndarray
    channels: tuple[str, ...] = ()
    steps: dict[str, float] | None = None
    folder: str | None = None


def write_lif(path: Path, images: list[LifImage]) -> list[int]:
    """Write the images, and say at which byte of the file the pixels of each begin."""
    header = '<LMSDataContainerHeader Version="2">' + _element(path.name, "<Experiment/>", _children(images), 0)
    content = _block(b"", f"{header}</LMSDataContainerHeader>")
    # the file's own block holds nothing, as in those that Leica's software writes
    content += _block(struct.pack("<BQ", 0x2A, 0), "MemBlock_0")
    begins = []
    for number, image in enumerate(images, 1):
        # the channels of a plane follow one another, within each z and t
        stored = np.moveaxis(image.pixels, 1, 2).tobytes()
        content += _block(struct.pack("<BQ", 0x2A, len(stored)), f"MemBlock_{number}")
        begins.append(len(content))
        content += stored
    path.write_bytes(content)
    return begins


def _block(before: bytes, text: str) -> bytes:
    """Start a block of the file: its length, what goes before its text, and the text."""
    inside = before + struct.pack("<BI", 0x2A, len(text)) + text.encode("utf-16-le")
    return struct.pack("<II", 0x70, len(inside)) + inside


def _children(images: list[LifImage]) -> str:
    tree: dict[str | None, list[str]] = {}
    for number, image in enumerate(images, 1):
        text = _element(image.name, _image(image), "", number, image.pixels.nbytes)
        tree.setdefault(image.folder, []).append(text)
    own = tree.pop(None, [])
    folders = [
        _element(folder, "<Collection/>", "".join(inside), 0) for folder, inside in tree.items() if folder is not None
    ]
    return "".join(own + folders)


def _element(name: str, data: str, children: str, block: int, size: int = 0) -> str:
    return (
        f'<Element Name={quoteattr(name)}><Data>{data}</Data><Memory Size="{size}" MemoryBlockID="MemBlock_{block}"/>'
        f"<Children>{children}</Children></Element>"
    )


def _image(image: LifImage) -> str:
    pixels = image.pixels
    plane = pixels[0, 0, 0].nbytes
    if pixels.ndim == 6:
        lanes = [(tag, number * pixels.itemsize, "") for number, tag in enumerate(_COLOURS)]
    else:
        names = image.channels or ("Gray",) * pixels.shape[1]
        lanes = [(_GREY, number * plane, name) for number, name in enumerate(names)]
    channels = "".join(
        f'<ChannelDescription DataType="0" ChannelTag="{tag}" Resolution="{8 * pixels.itemsize}" '
        f'NameOfMeasuredQuantity="" Min="0" Max="1" Unit="" LUTName={quoteattr(name)} IsLUTInverted="0" '
        f'BytesInc="{begin}" BitInc="0"/>'
        for tag, begin, name in lanes
    )
    stack = plane * pixels.shape[1]
    row = plane // pixels.shape[3]
    steps = image.steps or {}
    increments = {"x": row // pixels.shape[4], "y": row, "z": stack, "t": stack * pixels.shape[2]}
    sizes = {"x": pixels.shape[4], "y": pixels.shape[3], "z": pixels.shape[2], "t": pixels.shape[0]}
    dimensions = "".join(
        f'<DimensionDescription DimID="{_DIMENSIONS[axis][0]}" NumberOfElements="{size}" Origin="0" '
        f'Length="{steps.get(axis, 0) * (size - 1)}" Unit="{_DIMENSIONS[axis][1]}" '
        f'BitInc="0" BytesInc="{increments[axis]}"/>'
        for axis, size in sizes.items()
        if size > 1
    )
    return (
        f"<Image><ImageDescription><Channels>{channels}</Channels><Dimensions>{dimensions}</Dimensions>"
        "</ImageDescription></Image>"
    )
