"""Tracks come back as they went out, and those of other software come in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from sam2_core.errors import InvalidInputError, MissingFileError
from sam2_core.session.annotation_session import AnnotationSession
from sam2_core.session.export import export_labels
from sam2_core.session.lineage import Lineage, write_geff, write_trackmate
from sam2_core.session.track_files import is_track_file
from sam2_core.session.track_import import import_track_file
from sam2_core.volumes.array_volume import ArrayVolume
from tests.session.test_lineage import FRAMES, SIZE, disc, session

__all__ = ["session"]
MICROMETERS: dict[str, Any] = {"scale": {"y": 0.5, "x": 0.25}, "units": {"y": "micrometer", "x": "micrometer"}}


def empty(frames: int = FRAMES, **scale: Any) -> AnnotationSession:
    volume = ArrayVolume(np.zeros((frames, SIZE, SIZE), np.uint8), axes="tyx", **(scale or MICROMETERS))
    return AnnotationSession.create(volume.stack("t"))


def write(session: AnnotationSession, kind: str, folder: Path) -> Path:
    place = folder / f"cells.{kind}"
    if kind == "geff":
        pytest.importorskip("geff", reason="needs geff; install it with pip install geff")
        write_geff(session, place)
    else:
        write_trackmate(session, place)
    return place


def edges(session: AnnotationSession, ids: dict[int, int]) -> set[tuple[tuple[int, int], tuple[int, int]]]:
    lineage, known = Lineage.of(session, intensity=False), {new: old for old, new in ids.items()}
    place = {node: (known[one.object_id], one.frame) for node, one in lineage.nodes.items()}
    return {(place[source], place[target]) for source, target in lineage.edges}


@pytest.mark.parametrize("kind", ["geff", "xml"])
def test_the_same_lineage_comes_back_with_the_labels_beside(
    session: AnnotationSession, tmp_path: Path, kind: str
) -> None:
    place = write(session, kind, tmp_path)
    for _ in export_labels(session, tmp_path / "labels.tif"):
        pass
    with empty() as other:
        other.add_object("mine")
        ids = import_track_file(other, place, labels=tmp_path / "labels.tif")

        assert {other.object(new).parents for old, new in ids.items() if old in (2, 3)} == {(ids[1],)}
        assert edges(other, ids) == edges(session, {one.id: one.id for one in session.objects})
        for frame in range(FRAMES):
            for old, new in ids.items():
                assert np.array_equal(other.mask(new, frame), session.mask(old, frame))
            assert other.prompts_on(frame) == {}
        assert [step.label for step in other.history] == ["new mine", "import tracks"]
        if kind == "xml":
            assert [other.object(new).name for new in ids.values()] == ["mother", "object 2", "object 3", "alone"]
        other.undo()
        assert [one.name for one in other.objects] == ["mine"]


@pytest.mark.parametrize("kind", ["geff", "xml"])
def test_without_labels_places_become_clicks(session: AnnotationSession, tmp_path: Path, kind: str) -> None:
    place = write(session, kind, tmp_path)
    with empty() as other:
        ids = import_track_file(other, place)

        assert {one.parents for one in other.objects} == {(), (ids[1],)}
        for old, new in ids.items():
            filled = [frame for frame, record in session.records(old).items() if record.area]
            assert other.prompted_frames(new) == filled
            assert other.records(new) == {}
        assert other.prompt(ids[1], 1).points == ((10.0, 9.0),)
        assert other.prompt(ids[1], 1).labels == (1,)


def test_tracks_are_told_from_labels_whatever_they_are_called(session: AnnotationSession, tmp_path: Path) -> None:
    geff = write(session, "geff", tmp_path)
    for _ in export_labels(session, tmp_path / "labels.zarr"):
        pass
    assert is_track_file(geff)
    assert is_track_file(geff.rename(tmp_path / "graph.zarr"))
    assert is_track_file(tmp_path / "to-come.xml")
    assert not is_track_file(tmp_path / "labels.zarr")
    (tmp_path / "graph.zarr" / "zarr.json").write_text("[1]", encoding="utf-8")
    assert not is_track_file(tmp_path / "graph.zarr")
    assert not is_track_file(tmp_path)


def test_a_single_daughter_is_an_object_of_its_own(tmp_path: Path) -> None:
    """The graph alone does not tell a cell that goes on from one that was renamed; the number of the object does."""
    with empty() as first:
        mother, daughter = first.add_object(), first.add_object()
        first.paint(mother.id, 0, disc(5, 5))
        first.paint(daughter.id, 1, disc(6, 5))
        first.mark_division(mother.id, [daughter.id])
        for kind in ("geff", "xml"):
            place = write(first, kind, tmp_path)
            with empty() as other:
                assert import_track_file(other, place) == {1: 1, 2: 2}
                assert other.object(2).parents == (1,)


FIJI = """<?xml version="1.0" encoding="UTF-8"?>
<TrackMate version="7.11.1">
  <Model spatialunits="micron" timeunits="sec">
    <AllSpots nspots="7">
      <SpotsInFrame frame="0">
        <Spot ID="10" name="ID10" FRAME="0" POSITION_X="2.5" POSITION_Y="4.0" POSITION_Z="0.0" VISIBILITY="1"
          ROI_N_POINTS="4">-0.5 -1.0 0.5 -1.0 0.5 1.0 -0.5 1.0</Spot>
        <Spot ID="40" name="ID40" FRAME="0" POSITION_X="1.0" POSITION_Y="1.0" VISIBILITY="0" />
      </SpotsInFrame>
      <SpotsInFrame frame="1"><Spot ID="11" name="ID11" FRAME="1" POSITION_X="2.75" POSITION_Y="4.0" /></SpotsInFrame>
      <SpotsInFrame frame="3">
        <Spot ID="12" name="ID12" FRAME="3" POSITION_X="2.0" POSITION_Y="4.0" />
        <Spot ID="13" name="ID13" FRAME="3" POSITION_X="3.5" POSITION_Y="4.0" />
        <Spot ID="50" name="ID50" FRAME="3" POSITION_X="1.0" POSITION_Y="8.0" />
      </SpotsInFrame>
      <SpotsInFrame frame="4"><Spot ID="51" name="ID51" FRAME="4" POSITION_X="1.0" POSITION_Y="8.0" /></SpotsInFrame>
    </AllSpots>
    <AllTracks>
      <Track name="Track_0" TRACK_ID="0">
        <Edge SPOT_SOURCE_ID="10" SPOT_TARGET_ID="11" />
        <Edge SPOT_SOURCE_ID="11" SPOT_TARGET_ID="12" />
        <Edge SPOT_SOURCE_ID="11" SPOT_TARGET_ID="13" />
      </Track>
      <Track name="Track_1" TRACK_ID="1"><Edge SPOT_SOURCE_ID="50" SPOT_TARGET_ID="51" /></Track>
    </AllTracks>
    <FilteredTracks><TrackID TRACK_ID="0" /></FilteredTracks>
  </Model>
  <Settings><ImageData pixelwidth="0.25" pixelheight="0.5" /></Settings>
</TrackMate>
"""


def test_what_trackmate_itself_writes(tmp_path: Path) -> None:
    """Its names say nothing, outlines are masks, and what it hides is left out."""
    (tmp_path / "fiji.xml").write_text(FIJI, encoding="utf-8")
    with empty() as session:
        ids = import_track_file(session, tmp_path / "fiji.xml")

        assert {one.id: (one.name, one.parents) for one in session.objects} == {
            1: ("object 1", ()), 2: ("ID12", (1,)), 3: ("ID13", (1,))
        }  # fmt: skip
        assert ids == {1: 1, 2: 2, 3: 3}
        expected = np.zeros((SIZE, SIZE), bool)
        expected[6:11, 8:13] = True
        assert np.array_equal(session.mask(1, 0), expected)
        assert session.prompt(1, 1).points == ((11.0, 8.0),)
        assert session.prompted_frames(2) == session.prompted_frames(3) == [3]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<TrackMate", "no XML file"),
        ("<Tracks/>", "no TrackMate file"),
        (FIJI.replace('POSITION_X="2.75"', 'POSITION_X="275"'), "outside the frames"),
        (FIJI.replace('FRAME="3"', 'FRAME="9"'), "on frame 9"),
        (FIJI.replace('FRAME="3"', 'FRAME="1"'), "to a later one"),
        (FIJI.replace('POSITION_Z="0.0"', 'POSITION_Z="7"'), "through a volume"),
        (FIJI.replace("<ImageData", "<Other").replace("micron", "nm"), "in nanometer"),
        (FIJI.replace("<Spot ", "<Spit ").replace("</Spot>", "</Spit>"), "no tracks"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    with empty() as session:
        with pytest.raises(InvalidInputError, match=words):
            import_track_file(session, tmp_path / "a.xml")
        with pytest.raises(MissingFileError):
            import_track_file(session, tmp_path / "b.xml")
        (tmp_path / "c.geff").mkdir()
        with pytest.raises(InvalidInputError, match="no GEFF"):
            import_track_file(session, tmp_path / "c.geff")
        assert session.history == []


def test_another_programs_geff(tmp_path: Path) -> None:
    """Positions in pixels with a scale, time as its axis, and a property that names the label beside it."""
    geff = pytest.importorskip("geff", reason="needs geff; install it with pip install geff")
    spec = pytest.importorskip("geff_spec")
    networkx = pytest.importorskip("networkx")
    graph = networkx.DiGraph()
    for node, (frame, x, label) in {7: (0, 5, 40), 8: (1, 6, 41), 9: (2, 4, 42), 10: (2, 9, 43)}.items():
        graph.add_node(node, time=frame, y=8.0, x=float(x), seg=label)
    graph.add_edges_from([(7, 8), (8, 9), (8, 10)])
    axes = [spec.Axis(name="time", type="time"), *(spec.Axis(name=n, type="space", scale=0.25) for n in "yx")]
    metadata = spec.GeffMetadata(
        directed=True, axes=axes, node_props_metadata={}, edge_props_metadata={},
        related_objects=[spec.RelatedObject(type="labels", path="../seg", label_prop="seg")],
    )  # fmt: skip
    geff.write(graph, tmp_path / "other.geff", metadata=metadata)
    labels = np.zeros((FRAMES, SIZE, SIZE), np.uint16)
    labels[0, 2:4, 2:4], labels[1, 6:9, 5:8] = 40, 1
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    with empty() as session:
        ids = import_track_file(session, tmp_path / "other.geff", labels=tmp_path / "labels.tif")

        assert {one.id: one.parents for one in session.objects} == {1: (), 2: (1,), 3: (1,)}
        assert ids == {1: 1, 2: 2, 3: 3}
        assert np.array_equal(session.mask(1, 0), labels[0] == 40), "by its number, wherever it lies"
        assert np.array_equal(session.mask(1, 1), labels[1] == 1), "by its place, where the number is not there"
        assert session.prompt(2, 2).points == ((4.0, 8.0),)
