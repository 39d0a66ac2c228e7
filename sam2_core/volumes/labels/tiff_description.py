"""What a label TIFF says about itself: axes, spacing, provenance, frames not written; ImageJ's way and OME's."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from sam2_core.errors import InvalidInputError
from sam2_core.volumes.labels.frame_ranges import ranges_text
from sam2_core.volumes.labels.layout import LabelLayout
from sam2_core.volumes.units import ome_symbol, unit_name

# above this a classic TIFF overflows
_CLASSIC_BYTES = 2**32 - 2**25
_UNWRITTEN = "sam2-lab; frames not written: "


@dataclass
class TiffDescription:
    """What is read from the metadata of a label TIFF."""

    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    unit: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    unwritten: str = ""


def unwritten_note(unwritten: NDArray[np.bool_]) -> str:
    """Text for the tag Software that names the frames nobody wrote."""
    return _UNWRITTEN + ranges_text(unwritten)


def tiff_description(path: Path) -> TiffDescription:
    """Read spacing, unit, provenance and frames not written, as far as the file says."""
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        software = str(page.software or "")
        described = TiffDescription(
            unwritten=software.removeprefix(_UNWRITTEN) if software.startswith(_UNWRITTEN) else ""
        )
        if file.is_imagej:
            content = file.imagej_metadata or {}
            resolution = [page.tags.valueof(name) for name in ("YResolution", "XResolution")]
            y_step, x_step = (
                value[1] / value[0] if isinstance(value, tuple) and value[0] and value[1] else 1.0
                for value in resolution
            )
            frame_step = content.get("spacing") or content.get("finterval") or 1.0
            unit = content.get("unit")
            text = content.get("Info")
        elif file.is_ome:
            image = _ome_image(file)
            pixels = image.get("Pixels", {})
            y_step, x_step = (float(pixels.get(f"PhysicalSize{axis}") or 1.0) for axis in "YX")
            frame_step = pixels.get("PhysicalSizeZ") or pixels.get("TimeIncrement") or 1.0
            unit = pixels.get("PhysicalSizeXUnit")
            text = image.get("Description")
        else:
            return described
    described.spacing = (float(frame_step), y_step, x_step)
    described.unit = unit_name(unit)
    try:
        content = json.loads(text) if isinstance(text, str) else {}
        described.metadata = content if isinstance(content, dict) else {}
    except ValueError:
        pass  # somebody else's words about the file
    return described


def _ome_image(file: tifffile.TiffFile) -> dict[str, Any]:
    try:
        image = tifffile.xml2dict(file.ome_metadata or "")["OME"]["Image"]
    except Exception as error:  # malformed XML fails in many ways
        raise InvalidInputError(f"The OME metadata of {file.filename} cannot be understood ({error}).") from error
    first = image[0] if isinstance(image, list | tuple) else image
    return first if isinstance(first, dict) else {}


def empty_tiff(path: Path, name: str, layout: LabelLayout, metadata: dict[str, Any]) -> np.memmap[Any, Any]:
    """Make a TIFF of background whose pixels lie one after the other.

    ImageJ's kind where that can hold it, else OME-TIFF, as BigTIFF where it is large.

    Parameters
    ----------
    path : Path
    name : str
        Its final name: one ending in .ome.tif asks for OME.
    layout : LabelLayout
    metadata : dict
        Kept as JSON, in ImageJ's Info or in OME's Description.

    Returns
    -------
    numpy.memmap
        Of all pixels.
    """
    shape: tuple[int, ...] = layout.frame_size if layout.length == 1 else (layout.length, *layout.frame_size)
    axes = "YX" if layout.length == 1 else ("TYX" if layout.axis == "t" else "ZYX")
    time_step = layout.spacing[0]
    if layout.grid is not None:
        shape, axes, time_step = (*layout.grid.sizes, *layout.frame_size), "TZYX", layout.grid.steps[0]
    size = int(np.prod(shape, dtype=np.int64)) * layout.dtype.itemsize
    wants_ome = name.lower().endswith((".ome.tif", ".ome.tiff"))
    # in ImageJ's kind tifffile takes the last axis of frames one pixel wide for colours
    fits_imagej = size < _CLASSIC_BYTES and layout.dtype.itemsize <= 2 and layout.frame_size[1] > 1
    is_imagej = fits_imagej and not wants_ome
    provenance = json.dumps(metadata, default=str) if metadata else ""
    frame_step, y_step, x_step = layout.spacing
    # tifffile writes ImageJ's kind big-endian unless told otherwise
    common: dict[str, Any] = {"shape": shape, "dtype": layout.dtype, "byteorder": "<"}
    # a last axis of 3 is no colour
    common |= {"photometric": "minisblack", "software": "sam2-lab"}
    if is_imagej:
        described: dict[str, Any] = {"axes": axes, "unit": layout.unit or "pixel"}
        if "Z" in axes:
            described["spacing"] = frame_step
        if "T" in axes:
            described["finterval"] = time_step
        if provenance:
            described["Info"] = provenance
        return tifffile.memmap(path, imagej=True, resolution=(1 / x_step, 1 / y_step), metadata=described, **common)
    unit = ome_symbol(layout.unit)
    described = {
        "axes": axes,
        "PhysicalSizeX": x_step,
        "PhysicalSizeXUnit": unit,
        "PhysicalSizeY": y_step,
        "PhysicalSizeYUnit": unit,
    }
    if "Z" in axes:
        described |= {"PhysicalSizeZ": frame_step, "PhysicalSizeZUnit": unit}
    if "T" in axes:
        described["TimeIncrement"] = time_step
    if provenance:
        described["Description"] = provenance
    return tifffile.memmap(path, ome=True, bigtiff=size >= _CLASSIC_BYTES, metadata=described, **common)
