"""A session's objects over time as a graph: who is where, and what becomes of it; as GEFF and as TrackMate XML."""

from __future__ import annotations

import json
import math
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sam2_core.errors import DestinationExistsError, InvalidInputError, MissingDependencyError
from sam2_core.session.export import Measurement, measure
from sam2_core.session.volume_measurements import measure_volumes

if TYPE_CHECKING:
    from sam2_core.session.annotation_session import AnnotationSession

#: In one of them are the attributes of a zarr group, of its version 3 and 2.
_ATTRIBUTE_FILES = ("zarr.json", ".zattrs")


@dataclass(frozen=True)
class VolumeNode(Measurement):
    """One object at one time: `frame` is the time, areas are volumes, `z` is its centroid in slices."""

    z: float


@dataclass(frozen=True)
class Lineage:
    """Objects on frames, and how they follow each other.

    Attributes
    ----------
    nodes : dict of int to Measurement
        Each object on each frame where it has pixels, or, of z-stacks over time, at each time where it has voxels;
        numbers from 1, by frame or time and then by object.
    edges : list of (int, int)
        From a node to the one that follows it: the same object on its next frame, or a daughter's first one.
    """

    nodes: dict[int, Measurement]
    edges: list[tuple[int, int]]

    @classmethod
    def of(cls, session: AnnotationSession, *, intensity: bool = True) -> Lineage:
        """Read it off a session; `intensity` says whether frames are read for their intensities."""
        nodes: dict[int, Measurement] = {}
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        edges = []
        is_over_volumes = session.stack.axis == "tz"
        for found in _volumes(session, intensity) if is_over_volumes else measure(session, intensity=intensity):
            if not found.area:
                continue
            number = len(nodes) + 1
            nodes[number] = found
            if found.object_id in last:
                edges.append((last[found.object_id], number))
            first.setdefault(found.object_id, number)
            last[found.object_id] = number
        # a daughter that was there before its parent's end says nothing of who came from whom on which frame
        edges += [
            (last[parent], first[one.id])
            for one in session.objects
            for parent in one.parents
            if one.id in first and parent in last and nodes[last[parent]].frame < nodes[first[one.id]].frame
        ]
        return cls(nodes, sorted(edges))

    def tracks(self) -> Iterator[list[int]]:
        """Nodes that hang together by edges, each group in order; single ones too."""
        parent = {node: node for node in self.nodes}

        def root(node: int) -> int:
            while parent[node] != node:
                parent[node] = parent[parent[node]]
                node = parent[node]
            return node

        for source, target in self.edges:
            parent[root(target)] = root(source)
        groups: dict[int, list[int]] = {}
        for node in self.nodes:
            groups.setdefault(root(node), []).append(node)
        yield from groups.values()


def _volumes(session: AnnotationSession, intensity: bool) -> Iterator[Measurement]:
    for one in measure_volumes(session, intensity=intensity):
        yield VolumeNode(
            object_id=one.object_id,
            name=one.name,
            category=one.category,
            frame=one.t,
            source="volume",
            locked=one.locked_slices == one.slices,
            area=one.voxels,
            physical_area=one.physical_volume,
            y=one.y,
            x=one.x,
            mean_intensity=one.mean_intensity,
            predicted_iou=math.nan,
            object_score=math.nan,
            z=one.z,
        )


def write_geff(session: AnnotationSession, path: Path | str, *, overwrite: bool = False) -> None:
    """Write objects over frames as a graph in the Graph Exchange File Format (zarr).

    Positions are in the stack's unit, with the axis of the frames first; the nodes' properties are those of
    :class:`~sam2_core.session.export.Measurement`.

    Parameters
    ----------
    session : AnnotationSession
    path : path
        A folder, by custom with the name ``….geff``.
    overwrite : bool
        Replace what is there.

    Raises
    ------
    MissingDependencyError
        The library ``geff`` is not installed.
    DestinationExistsError, InvalidInputError
        There is something already, and not `overwrite`; or there is nothing to write; or the frames go along two axes
        other than "tz".
    """
    try:
        import geff
        import networkx
    except ImportError as error:
        raise MissingDependencyError(
            'GEFF files are written by the library geff; install it with pip install "sam2-lab[tracks]".'
        ) from error
    _require_times(session)
    place = _checked_place(path, overwrite)
    lineage = _filled(session)
    stack = session.stack
    step, row_step, column_step = stack.spacing
    graph: Any = networkx.DiGraph()
    along = stack.axis if stack.axis in ("t", "z") else "t"
    depth = ["z"] if stack.axis == "tz" else []
    for number, one in lineage.nodes.items():
        graph.add_node(
            number,
            **{
                along: float(one.frame * step) if along == "z" else one.frame,
                **({"z": one.z * step} if isinstance(one, VolumeNode) else {}),
                "y": one.y * row_step,
                "x": one.x * column_step,
                "object": one.object_id,
                "frame": one.frame,
                "area": one.area,
                "physical_area": one.physical_area,
                "mean_intensity": one.mean_intensity,
                "locked": one.locked,
            },
        )
    graph.add_edges_from(lineage.edges)
    unit = stack.spacing_unit
    _make_free(place)
    geff.write(
        graph,
        place,
        axis_names=[along, *depth, "y", "x"],
        axis_units=[unit if along == "z" else None, *(unit for _ in depth), unit, unit],
        axis_types=["space" if along == "z" else "time", *("space" for _ in depth), "space", "space"],
        zarr_format=3,
    )


def write_trackmate(session: AnnotationSession, path: Path | str, *, overwrite: bool = False) -> None:
    """Write objects over time as a TrackMate XML file, with divisions, for Fiji and what reads its files.

    Raises
    ------
    InvalidInputError
        The frames are along z, where objects do not move but are sections of one, or along two axes other than "tz";
        or there is nothing to write.
    DestinationExistsError
        There is something already, and not `overwrite`.
    """
    stack = session.stack
    if stack.axis == "z":
        raise InvalidInputError("TrackMate's tracks go over time, and this stack's frames are along z. Export labels.")
    _require_times(session)
    place = _checked_place(path, overwrite)
    lineage = _filled(session)
    step, row_step, column_step = stack.spacing
    time_step = step if stack.grid is None else stack.grid.steps[0]
    names = {one.id: one.name for one in session.objects}
    top = ElementTree.Element("TrackMate", version="7.11.1")
    unit = stack.spacing_unit or "pixel"
    model = ElementTree.SubElement(top, "Model", spatialunits=unit, timeunits="frame" if time_step == 1 else "unit")
    _declare_features(model)
    spots = ElementTree.SubElement(model, "AllSpots", nspots=str(len(lineage.nodes)))
    on_frame: dict[int, list[int]] = {}
    for number, one in lineage.nodes.items():
        on_frame.setdefault(one.frame, []).append(number)
    for frame, numbers in sorted(on_frame.items()):
        group = ElementTree.SubElement(spots, "SpotsInFrame", frame=str(frame))
        for number in numbers:
            one = lineage.nodes[number]
            values = {
                "ID": number,
                "name": f"{names[one.object_id]}",
                "FRAME": frame,
                "POSITION_T": frame * time_step,
                "POSITION_X": one.x * column_step,
                "POSITION_Y": one.y * row_step,
                "POSITION_Z": one.z * step if isinstance(one, VolumeNode) else 0.0,
                "RADIUS": math.cbrt(one.physical_area * 3 / (4 * math.pi))
                if isinstance(one, VolumeNode)
                else math.sqrt(one.physical_area / math.pi),
                "VISIBILITY": 1,
                "OBJECT_ID": one.object_id,
                "QUALITY": 0.0 if math.isnan(one.predicted_iou) else one.predicted_iou,
                "AREA": one.physical_area,
                "MEAN_INTENSITY_CH1": 0.0 if math.isnan(one.mean_intensity) else one.mean_intensity,
            }
            ElementTree.SubElement(group, "Spot", {name: str(value) for name, value in values.items()})
    _add_tracks(model, lineage)
    tree = ElementTree.ElementTree(top)
    ElementTree.indent(tree)
    _make_free(place)
    tree.write(place, encoding="UTF-8", xml_declaration=True)


#: Each format of tracks: how it is written, and how names of its files end.
TRACK_FORMATS: Final[dict[str, tuple[Callable[..., None], str]]] = {
    "geff": (write_geff, ".geff"),
    "trackmate": (write_trackmate, ".xml"),
}


def track_writer(path: Path | str, format: str | None) -> Callable[..., None] | None:
    """What writes tracks in a format, or to a path of that name where no format is given; None if they are labels."""
    for name, (write, ending) in TRACK_FORMATS.items():
        if format == name or (format is None and Path(path).suffix.casefold() == ending):
            return write
    return None


def _add_tracks(model: ElementTree.Element, lineage: Lineage) -> None:
    every = ElementTree.SubElement(model, "AllTracks")
    shown = ElementTree.SubElement(model, "FilteredTracks")
    for number, nodes in enumerate(lineage.tracks()):
        inside = set(nodes)
        track = ElementTree.SubElement(every, "Track", name=f"Track_{number}", TRACK_ID=str(number))
        for source, target in lineage.edges:
            if source in inside:
                ElementTree.SubElement(
                    track, "Edge", SPOT_SOURCE_ID=str(source), SPOT_TARGET_ID=str(target), LINK_COST="-1.0"
                )
        if len(nodes) > 1:
            ElementTree.SubElement(shown, "TrackID", TRACK_ID=str(number))
        else:
            # TrackMate knows no track of one spot
            every.remove(track)


def _declare_features(model: ElementTree.Element) -> None:
    declared = ElementTree.SubElement(model, "FeatureDeclarations")
    features = {
        "SpotFeatures": {
            "QUALITY": ("QUALITY", "false"),
            "POSITION_X": ("POSITION", "false"),
            "POSITION_Y": ("POSITION", "false"),
            "POSITION_Z": ("POSITION", "false"),
            "POSITION_T": ("TIME", "false"),
            "FRAME": ("NONE", "true"),
            "RADIUS": ("LENGTH", "false"),
            "VISIBILITY": ("NONE", "true"),
            "OBJECT_ID": ("NONE", "true"),
            "AREA": ("AREA", "false"),
            "MEAN_INTENSITY_CH1": ("INTENSITY", "false"),
        },
        "EdgeFeatures": {
            "SPOT_SOURCE_ID": ("NONE", "true"),
            "SPOT_TARGET_ID": ("NONE", "true"),
            "LINK_COST": ("COST", "false"),
        },
        "TrackFeatures": {"TRACK_ID": ("NONE", "true")},
    }
    for kind, group in features.items():
        place = ElementTree.SubElement(declared, kind)
        for name, (dimension, is_integer) in group.items():
            words = name.replace("_", " ").capitalize()
            ElementTree.SubElement(
                place, "Feature", feature=name, name=words, shortname=words, dimension=dimension, isint=is_integer
            )


def _require_times(session: AnnotationSession) -> None:
    """Refuse frames along two axes that are not z-stacks over time: they have no order in which objects move."""
    if session.grid is not None and session.grid.axes != "tz":
        raise InvalidInputError(
            f'Tracks go over time, or over z-stacks over time, "tz"; the frames of this session go along '
            f'"{session.grid.axes}". Open the session on volume.stack("tz"), or export labels.'
        )


def _filled(session: AnnotationSession) -> Lineage:
    lineage = Lineage.of(session)
    if not lineage.nodes:
        raise InvalidInputError("There is nothing to write: no object of this session has a mask with pixels.")
    return lineage


def _checked_place(path: Path | str, overwrite: bool) -> Path:
    place = Path(path)
    if place.exists() and not overwrite:
        raise DestinationExistsError(f"{place} exists already; pass overwrite=True to replace it.")
    if place.is_dir() and any(place.iterdir()) and not _is_graph(place):
        raise DestinationExistsError(f"{place} is a folder of something else than a graph, and is not replaced.")
    return place


def _is_graph(folder: Path) -> bool:
    """Whether a folder is a GEFF; an image in a folder is a zarr group too, and must not be taken for one."""
    for name in _ATTRIBUTE_FILES:
        try:
            found = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        attributes = found.get("attributes") if name == "zarr.json" and isinstance(found, dict) else found
        if isinstance(attributes, dict) and "geff" in attributes:
            return True
    return False


def _make_free(place: Path) -> None:
    """Delete what will be replaced, once it is known that there is something to put in its place."""
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
