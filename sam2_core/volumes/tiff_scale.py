"""Physical scale, units and channel names that a TIFF file's metadata give."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from typing import Any

import tifffile

from sam2_core.volumes.units import unit_name


@dataclass
class TiffScale:
    """What a file says of its axes.

    Parameters
    ----------
    scale : dict of str to float
        Physical size of a step along an axis.
    units : dict of str to str
    channel_names : tuple of str
    """

    scale: dict[str, float] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    channel_names: tuple[str, ...] = ()

    @classmethod
    def of(cls, file: tifffile.TiffFile) -> TiffScale:
        """Read OME-XML, ImageJ or LSM metadata; what is not there or not understood stays unknown."""
        try:
            if file.is_ome and file.ome_metadata:
                return _from_ome(file.ome_metadata)
            if file.is_imagej and file.imagej_metadata is not None:
                return _from_imagej(file.imagej_metadata, file.pages.first)
            if file.is_lsm and file.lsm_metadata:
                return _from_lsm(file.lsm_metadata)
        except (ElementTree.ParseError, ValueError, KeyError, TypeError, ZeroDivisionError):
            pass  # a scale is a convenience: pixels can be read without it
        return cls()


def _from_ome(text: str) -> TiffScale:
    found = TiffScale()
    root = ElementTree.fromstring(text)
    pixels = root.find(".//{*}Image/{*}Pixels")
    if pixels is None:
        return found
    for axis, word in (("z", "PhysicalSizeZ"), ("y", "PhysicalSizeY"), ("x", "PhysicalSizeX"), ("t", "TimeIncrement")):
        if word in pixels.attrib:
            found.scale[axis] = float(pixels.attrib[word])
            # the schema's defaults
            found.units[axis] = pixels.attrib.get(f"{word}Unit", "s" if axis == "t" else "µm")
    channels = pixels.findall("{*}Channel")
    if any("Name" in channel.attrib for channel in channels):
        found.channel_names = tuple(channel.attrib.get("Name", str(number)) for number, channel in enumerate(channels))
    return found


def _from_imagej(metadata: dict[str, Any], page: Any) -> TiffScale:
    found = TiffScale()
    unit = unit_name(metadata.get("unit"))
    if unit is not None:
        for axis, word in (("y", "YResolution"), ("x", "XResolution")):
            tag = page.tags.get(word)
            if tag is not None and tag.value[0] > 0:
                found.scale[axis] = tag.value[1] / tag.value[0]
                found.units[axis] = unit
    if metadata.get("spacing"):
        found.scale["z"] = abs(float(metadata["spacing"]))
        if unit is not None:
            found.units["z"] = unit
    interval = float(metadata.get("finterval") or 0)
    frames_per_second = float(metadata.get("fps") or 0)
    if interval > 0 or frames_per_second > 0:
        found.scale["t"] = interval if interval > 0 else 1 / frames_per_second
        found.units["t"] = unit_name(metadata.get("tunit")) or "second"
    return found


def _from_lsm(metadata: dict[str, Any]) -> TiffScale:
    found = TiffScale()
    for axis in "zyx":
        size = float(metadata.get(f"VoxelSize{axis.upper()}") or 0)  # in metres
        if size > 0:
            found.scale[axis] = size * 1e6
            found.units[axis] = "micrometer"
    interval = float(metadata.get("TimeIntervall") or 0)
    if interval > 0:
        found.scale["t"] = interval
        found.units["t"] = "second"
    return found
