"""Objects over time as a graph, read back by the format's own library."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zarr

from sam2_core.errors import DestinationExistsError, InvalidInputError
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.lineage import Lineage, write_geff, write_trackmate
from sam2_core.volumes import open_volume
from sam2_core.volumes.array_volume import ArrayVolume

geff = pytest.importorskip("geff", reason="needs geff; install it with pip install geff")
FRAMES, SIZE = 6, 20


def disc(x: int, y: int) -> np.ndarray:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return (rows - y) ** 2 + (columns - x) ** 2 <= 4


@pytest.fixture
def session() -> Iterator[AnnotationSession]:
    """A cell that divides after frame 2 into two, one of which is away on frame 4; and one on a single frame."""
    pixels = np.full((FRAMES, SIZE, SIZE), 7, np.uint8)
    volume = ArrayVolume(pixels, axes="tyx", scale={"y": 0.5, "x": 0.25}, units={"y": "micrometer", "x": "micrometer"})
    with AnnotationSession.create(volume.stack("t")) as opened:
        cell = opened.add_object("mother")
        for frame in range(3):
            opened.paint(cell.id, frame, disc(10, 8 + frame))
        left, right = opened.mark_division(cell.id)
        for frame in range(3, FRAMES):
            opened.paint(left.id, frame, disc(6, 12))
            opened.paint(right.id, frame, disc(14, 12) if frame != 4 else np.zeros((SIZE, SIZE), bool))
        alone = opened.add_object("alone")
        opened.paint(alone.id, 5, disc(3, 3))
        yield opened


def named(lineage: Lineage, node: int) -> tuple[int, int]:
    return lineage.nodes[node].object_id, lineage.nodes[node].frame


EDGES = {
    ((1, 0), (1, 1)),
    ((1, 1), (1, 2)),
    ((1, 2), (2, 3)),
    ((1, 2), (3, 3)),
    ((2, 3), (2, 4)),
    ((2, 4), (2, 5)),
    ((3, 3), (3, 5)),
}


def test_the_graph(session: AnnotationSession) -> None:
    lineage = Lineage.of(session)
    assert {(named(lineage, source), named(lineage, target)) for source, target in lineage.edges} == EDGES
    assert sorted(len(track) for track in lineage.tracks()) == [1, 8]


def test_geff(session: AnnotationSession, tmp_path: Path) -> None:
    write_geff(session, tmp_path / "cells.geff")

    graph, metadata = geff.read(tmp_path / "cells.geff")
    place = {node: (values["object"], values["frame"]) for node, values in graph.nodes.items()}
    assert {(place[source], place[target]) for source, target in graph.edges} == EDGES
    first = next(values for values in graph.nodes.values() if values["object"] == 1 and values["frame"] == 0)
    assert (first["t"], first["y"], first["x"]) == (0, 4.0, 2.5)
    assert first["mean_intensity"] == 7
    assert [(axis.name, axis.unit) for axis in metadata.axes] == [("t", None), ("y", "micrometer"), ("x", "micrometer")]
    with pytest.raises(DestinationExistsError):
        write_geff(session, tmp_path / "cells.geff")
    write_geff(session, tmp_path / "cells.geff", overwrite=True)


def test_trackmate(session: AnnotationSession, tmp_path: Path) -> None:
    from geff.convert import from_trackmate_xml_to_geff

    write_trackmate(session, tmp_path / "cells.xml")

    from_trackmate_xml_to_geff(tmp_path / "cells.xml", tmp_path / "cells.geff")
    graph, _ = geff.read(tmp_path / "cells.geff")
    place = {
        node: (values["name"], int(values["FRAME"]), float(values["POSITION_X"]), float(values["POSITION_Y"]))
        for node, values in graph.nodes.items()
    }
    assert ("mother", 0, 2.5, 4.0) in place.values()
    assert len(graph.edges) == len(EDGES)
    assert len({source for source, _ in graph.edges if place[source][:2] == ("mother", 2)}) == 1


def test_what_cannot_be_written(tmp_path: Path) -> None:
    volume = open_volume(np.zeros((2, 8, 8), np.uint8), axes="zyx")
    with AnnotationSession.create(volume.stack("z")) as session:
        with pytest.raises(InvalidInputError, match="along z"):
            write_trackmate(session, tmp_path / "a.xml")
        with pytest.raises(InvalidInputError, match="nothing to write"):
            write_geff(session, tmp_path / "a.geff")
        assert not any(tmp_path.iterdir())


def test_what_is_there_stays_until_there_is_something_to_put_in_its_place(
    session: AnnotationSession, tmp_path: Path
) -> None:
    write_geff(session, tmp_path / "cells.geff")
    write_trackmate(session, tmp_path / "cells.xml")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")

    empty = open_volume(np.zeros((2, 8, 8), np.uint8), axes="tyx")
    with AnnotationSession.create(empty.stack("t")) as nothing:
        with pytest.raises(InvalidInputError, match="nothing to write"):
            write_geff(nothing, tmp_path / "cells.geff", overwrite=True)
        with pytest.raises(InvalidInputError, match="nothing to write"):
            write_trackmate(nothing, tmp_path / "cells.xml", overwrite=True)
    for write in (write_geff, write_trackmate):
        with pytest.raises(DestinationExistsError, match="something else"):
            write(session, tmp_path / "thesis", overwrite=True)

    assert len(geff.read(tmp_path / "cells.geff")[0].edges) == len(EDGES)
    assert "mother" in (tmp_path / "cells.xml").read_text()
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_image_is_not_taken_for_a_graph(session: AnnotationSession, tmp_path: Path, zarr_format: int) -> None:
    place = tmp_path / "film.ome.zarr"
    group = zarr.create_group(str(place), zarr_format=zarr_format, attributes={"multiscales": []})
    group.create_array("0", shape=(2, 3), dtype="u1")[:] = 5

    for format in ("geff", "trackmate"):
        with pytest.raises(DestinationExistsError, match="something else"):
            session.start_export(place, format, overwrite=True).wait()

    assert zarr.open_array(str(place / "0"))[1, 2] == 5


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_graph_of_either_version_of_zarr_is_replaced(
    session: AnnotationSession, tmp_path: Path, zarr_format: int
) -> None:
    zarr.create_group(str(tmp_path / "cells.geff"), zarr_format=zarr_format, attributes={"geff": {}})

    write_geff(session, tmp_path / "cells.geff", overwrite=True)

    assert len(geff.read(tmp_path / "cells.geff")[0].edges) == len(EDGES)


def test_tracks_are_a_format_of_the_export(session: AnnotationSession, tmp_path: Path) -> None:
    """By the format, and by the name."""
    for number, (name, format) in enumerate([("a", "geff"), ("b.geff", None), ("c", "trackmate"), ("d.xml", None)]):
        place = tmp_path / name
        assert session.start_export(place, format).wait() == place
        if number < 2:
            graph, _ = geff.read(place)
            assert len(graph) == len(Lineage.of(session).nodes)
        else:
            assert ElementTree.parse(place).getroot().tag == "TrackMate"
        with pytest.raises(DestinationExistsError):
            session.start_export(place, format).wait()
        session.start_export(place, format, overwrite=True).wait()
    with pytest.raises(InvalidInputError, match="filters"):
        session.start_export(tmp_path / "e.geff", filters=["remove-small"])
