"""Reads tracks from GEFF and TrackMate XML."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from skimage.draw import polygon

from sam2_core.errors import InvalidInputError, MissingDependencyError, MissingFileError
from sam2_core.session.mask_pixels import MaskPixels
from sam2_core.session.track_graph import TrackGraph, TrackNode
from sam2_core.volumes.units import unit_name

if TYPE_CHECKING:
    from sam2_core.volumes.frame_stack import FrameStack

#: Where groups of zarr 3 and 2 keep their attributes.
ZARR_NAMES: Final = ("zarr.json", ".zattrs")


def read_tracks(source: str | PathLike[str], stack: FrameStack) -> TrackGraph:
    """Read a graph of tracks.

    Parameters
    ----------
    source : path
        A TrackMate XML file, or the folder of a GEFF.
    stack : FrameStack
        The frames that it belongs to; its scale says where in pixels a position is.

    Raises
    ------
    MissingFileError
        There is nothing.
    InvalidInputError
        It is neither, is damaged, or belongs to another kind of stack.
    MissingDependencyError
        It is a GEFF, and the library ``geff`` is not installed.
    """
    place = Path(source)
    if not place.exists():
        raise MissingFileError(f"There are no tracks at {place}.")
    return read_geff(place, stack) if place.is_dir() else read_trackmate(place, stack)


def is_track_file(source: str | PathLike[str]) -> bool:
    """Whether that is tracks, and not labels: a folder that says it is a GEFF or is named so, or an XML file."""
    place = Path(source)
    if not place.is_dir():
        return place.suffix.casefold() == ".xml"
    return place.suffix.casefold() == ".geff" or any("geff" in _attributes(place / name) for name in ZARR_NAMES)


def _attributes(path: Path) -> dict[str, Any]:
    """The attributes of a zarr group; none if that is no such file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if path.name == "zarr.json" and isinstance(found, dict):
        found = found.get("attributes")
    return found if isinstance(found, dict) else {}


def read_geff(path: Path, stack: FrameStack) -> TrackGraph:
    """Read the Graph Exchange File Format; see :func:`read_tracks`.

    Nodes are on the frames that their property ``frame`` says, else where they are along the stack's axis. Objects are
    those of a property ``object``, as this project writes it.
    """
    try:
        import geff
    except ImportError as error:
        raise MissingDependencyError(
            'GEFF files are read by the library geff; install it with pip install "sam2-lab[tracks]".'
        ) from error
    try:
        graph, metadata = geff.read(path)
    except Exception as error:
        raise InvalidInputError(f"{path} is no GEFF that could be read: {error}") from error
    axes = {axis.name: axis for axis in metadata.axes or ()}
    along = "z" if stack.axis == "z" else next((name for name, axis in axes.items() if axis.type == "time"), "t")
    nodes = dict(graph.nodes.items())
    _require_plane(path, {name for name, axis in axes.items() if axis.type == "space"} - {along, "y", "x"}, nodes)
    steps = dict(zip((along, "y", "x"), stack.spacing, strict=True))

    def pixels(node: int, name: str) -> float:
        values = nodes[node]
        if name not in values:
            raise InvalidInputError(
                f"The nodes of {path} need {along!r} (or 'frame'), 'y' and 'x'; got {list(values)}."
            )
        axis = axes.get(name)
        # what is scaled by the file itself is stored in pixels, as is what has no unit in a stack that has one
        unit = None if axis is None else unit_name(axis.unit)
        is_scaled = axis is not None and axis.scale is not None
        if axis is not None and axis.type == "time":
            return float(values[name]) / (1.0 if unit is None or is_scaled else steps[name])
        return float(values[name]) / _step(path, unit, is_scaled, steps[name], stack)

    related = metadata.related_objects or []
    label = next((one.label_prop for one in related if one.type == "labels" and one.label_prop), "object")
    read = {
        int(node): TrackNode(
            frame=_whole(path, values["frame"] if "frame" in values else pixels(node, along)),
            x=pixels(node, "x"),
            y=pixels(node, "y"),
            object_id=int(values["object"]) if "object" in values else None,
            label=int(values[label]) if label in values else None,
        )
        for node, values in nodes.items()
    }
    return TrackGraph(read, [(int(source), int(target)) for source, target in graph.edges])


def read_trackmate(path: Path, stack: FrameStack) -> TrackGraph:
    """Read a TrackMate XML file; see :func:`read_tracks`.

    Spots that are hidden, and tracks that are filtered out, are left out. Outlines of spots become masks.
    """
    try:
        top = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise InvalidInputError(f"{path} is no XML file: {error}.") from error
    model = top.find("Model")
    if top.tag != "TrackMate" or model is None:
        raise InvalidInputError(f"{path} is no TrackMate file: expected <TrackMate> with a <Model> in it.")
    image = top.find("Settings/ImageData")
    unit = unit_name(model.get("spatialunits"))
    steps = {
        "x": _size(image, "pixelwidth") or _step(path, unit, False, stack.spacing[2], stack),
        "y": _size(image, "pixelheight") or _step(path, unit, False, stack.spacing[1], stack),
    }
    edges, hidden = _trackmate_edges(model)
    spots = {
        int(spot.attrib["ID"]): spot
        for spot in model.iter("Spot")
        if spot.get("VISIBILITY", "1") not in ("0", "false") and int(spot.attrib["ID"]) not in hidden
    }
    if len({float(spot.get("POSITION_Z", 0)) for spot in spots.values()}) > 1:
        raise InvalidInputError(f"{path} has tracks through a volume; a session has them on planes, at one z.")
    nodes = {number: _trackmate_node(path, spot, steps, stack) for number, spot in spots.items()}
    return TrackGraph(nodes, [edge for edge in edges if edge[0] in nodes and edge[1] in nodes])


def _trackmate_edges(model: ElementTree.Element) -> tuple[list[tuple[int, int]], set[int]]:
    """Edges of the tracks that are shown, and the spots of the others."""
    shown = {one.get("TRACK_ID") for one in model.iterfind("FilteredTracks/TrackID")}
    edges: list[tuple[int, int]] = []
    hidden: set[int] = set()
    for track in model.iterfind("AllTracks/Track"):
        found = [(int(one.attrib["SPOT_SOURCE_ID"]), int(one.attrib["SPOT_TARGET_ID"])) for one in track.iter("Edge")]
        if track.get("TRACK_ID") in shown:
            edges += found
        else:
            hidden |= {spot for edge in found for spot in edge}
    return edges, hidden


def _trackmate_node(path: Path, spot: ElementTree.Element, steps: dict[str, float], stack: FrameStack) -> TrackNode:
    x, y = (float(spot.attrib[f"POSITION_{name.upper()}"]) / steps[name] for name in ("x", "y"))
    pixels = None
    if spot.get("ROI_N_POINTS") and (spot.text or "").strip():
        corners = np.array((spot.text or "").split(), float).reshape(-1, 2) / [steps["x"], steps["y"]] + [x, y]
        inside = np.zeros(stack.frame_size, bool)
        inside[polygon(corners[:, 1], corners[:, 0], stack.frame_size)] = True  # type: ignore[no-untyped-call]
        pixels = MaskPixels.cut(inside)
    known = spot.get("OBJECT_ID")
    number = None if known is None else _whole(path, float(known))
    frame = _whole(path, float(spot.attrib["FRAME"]))
    return TrackNode(
        frame,
        x,
        y,
        object_id=number,
        label=number,
        name=spot.get("name", ""),
        pixels=pixels if pixels and pixels.area else None,
    )


def _step(path: Path, unit: str | None, is_scaled: bool, spacing: float, stack: FrameStack) -> float:
    """By what positions along an axis are divided to get pixels."""
    known = unit_name(stack.spacing_unit)
    if is_scaled or (unit is None and known is not None):
        return 1.0
    if unit is not None and unit != known:
        raise InvalidInputError(
            f"The positions of {path} are in {unit}, and the stack's scale is in {known or 'pixels'}. Open the stack "
            "with its scale in that unit."
        )
    return spacing


def _size(image: ElementTree.Element | None, name: str) -> float | None:
    size = 0.0 if image is None else float(image.get(name, 0))
    return size if size > 0 else None


def _whole(path: Path, value: Any) -> int:
    number = round(float(value))
    if abs(float(value) - number) > 1e-3:
        raise InvalidInputError(f"Frames and objects of {path} are numbered with whole numbers; got {value}.")
    return number


def _require_plane(path: Path, axes: set[str], nodes: dict[Any, dict[str, Any]]) -> None:
    for name in sorted(axes):
        if len({float(values[name]) for values in nodes.values() if name in values}) > 1:
            raise InvalidInputError(
                f"{path} has positions along {name!r} too; a session has them on planes, along y and x, one after "
                "another."
            )
